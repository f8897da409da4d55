// The table that chunks of RAM and of disk layers have in common.
// Invariant: pages are named in ascending order, within the chunk.

import type { Builder } from 'flatbuffers';
import * as limits from '../limits.js';
import * as wire from '../schema/wire.js';
import type { FrameOf } from './frames.js';

function pagesOf(pages: Uint32Array | null, pageCount: number): Uint32Array {
  if (pages === null) throw new RangeError('pages are missing');
  if (pageCount > limits.wireChunkPagesMax) throw new RangeError(`${pageCount} pages are too many for a chunk`);
  if (pages.length > pageCount) throw new RangeError('more pages are named than the chunk spans');
  for (let i = 0; i < pages.length; i++) {
    if (pages[i]! >= pageCount || (i > 0 && pages[i]! <= pages[i - 1]!))
      throw new RangeError('pages are not ascending');
  }
  return pages;
}

type Chunk = Pick<FrameOf<'imageChunk'>, 'firstPage' | 'pageCount' | 'pages' | 'rawBytes' | 'checksum'>;

/** Writes the table of a chunk of `block`. */
export function chunkTable(
  b: Builder,
  block: number,
  { firstPage, pageCount, pages, rawBytes, checksum }: Chunk,
): number {
  const at = wire.ImageChunk.createPagesVector(b, pages);
  return wire.ImageChunk.createImageChunk(b, block, firstPage, pageCount, at, rawBytes, checksum);
}

/** Reads one but for its block. @throws RangeError */
export function chunkOf(t: wire.ImageChunk): Chunk {
  return {
    firstPage: t.firstPage(),
    pageCount: t.pageCount(),
    pages: pagesOf(t.pagesLength() === 0 ? new Uint32Array(0) : t.pagesArray(), t.pageCount()),
    rawBytes: t.rawBytes(),
    checksum: t.checksum(),
  };
}
