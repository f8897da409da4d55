// A chunk of a layer's file: one aligned MiB (the last one shorter) with its zero pages left out, compressed. It is the chunk of
// a RAM image (src/checkpoint/chunk.ts has the picture and the encoding) with the layer's number in the block's place, so
// that one frame of the wire and one native codec serve both.
//
// Invariant: a file has one sequence of chunks: each MiB that holds anything has exactly one, in ascending order.
import { TrmigError, type Facts } from '../errors.js';
import { chunkCompressedBytesMax, chunkPagesMax, imagePageBytes, layerBytesMax } from '../limits.js';
import { xxh128, xxh3 } from '../native/index.js';

export interface LayerChunk {
  /** The layer's number in its shipment; it enters the checksum. */
  readonly layer: number;
  /** In pages of 4 KiB from the file's start; a multiple of 256. */
  readonly firstPage: number;
  readonly pageCount: number;
  /** The pages that are not zero, ascending, counted from `firstPage`. Never empty. */
  readonly pages: Uint32Array;
  readonly compressed: Buffer;
  /** `pages.length` times 4096. */
  readonly rawBytes: number;
  /** XXH3-64 over the encoding's other bytes. */
  readonly checksum: bigint;
}

/** A file's bytes and its digest, as digestFile computes it. */
export interface LayerDigest {
  readonly bytes: number;
  readonly digest: string;
}

export const chunkBytes = chunkPagesMax * imagePageBytes;

export const chunkCount = (fileBytes: number): number => Math.ceil(fileBytes / chunkBytes);

/** The pages of chunk `index` of a file. */
export function chunkPages(fileBytes: number, index: number): number {
  return Math.min(chunkPagesMax, Math.ceil(fileBytes / imagePageBytes) - index * chunkPagesMax);
}

/**
 * Checks that a foreign chunk is one that a file of `fileBytes` has. The checksum is not verified here.
 * @throws E_LAYER_DAMAGED naming `where`
 */
export function checkLayerChunk(chunk: LayerChunk, fileBytes: number, where: string, facts: Facts = {}): void {
  const { firstPage, pageCount, pages, rawBytes, compressed } = chunk;
  const refuse = (why: string): TrmigError => new TrmigError('E_LAYER_DAMAGED', `${where}: ${why}`, { facts });
  const index = firstPage / chunkPagesMax;
  if (!Number.isSafeInteger(index) || index < 0 || index >= chunkCount(fileBytes)) {
    throw refuse(`a layer of ${fileBytes} bytes has no chunk at page ${firstPage}`);
  }
  const expected = chunkPages(fileBytes, index);
  if (pageCount !== expected) throw refuse(`the chunk at page ${firstPage} has ${expected} pages, not ${pageCount}`);
  if (pages.length === 0 || rawBytes !== pages.length * imagePageBytes) throw refuse('its sizes contradict each other');
  if (compressed.length === 0 || compressed.length > chunkCompressedBytesMax) {
    throw refuse(`${compressed.length} bytes are no zstd frame of it`);
  }
  let previous = -1;
  for (const page of pages) {
    if (page <= previous || page >= pageCount) throw refuse(`page ${page} after ${previous}, of ${pageCount}`);
    previous = page;
  }
}

/**
 * The digest of a file whose chunks come in any order, and whose zeros do not come at all. Memory: 8 bytes a MiB.
 * Invariant: equal to digestFile of the whole file.
 */
export class ChunkDigests {
  readonly #digests: BigUint64Array;
  readonly #seen: Uint8Array;

  /** @throws E_LAYER_REFUSED for a size that no layer has */
  constructor(readonly fileBytes: number) {
    if (!Number.isSafeInteger(fileBytes) || fileBytes < 0 || fileBytes > layerBytesMax) {
      throw new TrmigError('E_LAYER_REFUSED', `no layer has ${fileBytes} bytes`, { facts: { bytes: fileBytes } });
    }
    const count = chunkCount(fileBytes);
    this.#seen = new Uint8Array(count);
    this.#digests = new BigUint64Array(count).fill(xxh3(Buffer.alloc(chunkBytes)));
    const tail = fileBytes % chunkBytes;
    if (tail > 0) this.#digests[count - 1] = xxh3(Buffer.alloc(tail));
  }

  /** Whether chunk `index` has been set before; marks it. */
  claim(index: number): boolean {
    const claimed = this.#seen[index] === 0;
    this.#seen[index] = 1;
    return claimed;
  }

  set(index: number, digest: bigint): void {
    this.#digests[index] = digest;
  }

  result(): LayerDigest {
    const { buffer, byteOffset, byteLength } = this.#digests;
    return { bytes: this.fileBytes, digest: xxh128(new Uint8Array(buffer, byteOffset, byteLength)) };
  }
}
