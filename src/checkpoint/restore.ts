// Writes chunks into the RAM of a QEMU started with -S.
// Invariants: a chunk is verified, bounds-checked against the destination's own blocks and decompressed before its first
// byte is written; the RAM is made zero first, because an image does not say which pages are zero and QEMU has filled
// some already (ROMs, a kernel loaded at reset).

import { TrmigError, throwIfAborted } from '../errors.js';
import { imagePageBytes, MIB } from '../limits.js';
import { clearPages, ERRNO, isNativeFailure, remoteError, restoreChunk as writeChunk } from '../native/index.js';
import { checkBlocks, checkChunk, type ImageChunk, type ImageProcess } from './chunk.js';
import { InFlight } from './in-flight.js';

/** Between two looks at the signal. */
const clearBytesAtOnce = 64 * MIB;

const whose = "the destination's QEMU";

/**
 * Makes all RAM of a stopped destination zero. Comes before the first chunk. Returns the pages that were not zero.
 * @throws TrmigError E_IMAGE_WRITE, E_ABORTED, E_IMAGE_MISMATCH when `target.blocks` cannot be RAM blocks
 */
export async function clearTarget(target: ImageProcess, options: { signal?: AbortSignal } = {}): Promise<number> {
  checkBlocks(target.blocks);
  let cleared = 0;
  for (const { address, bytes } of target.blocks) {
    for (let at = 0; at < bytes; at += clearBytesAtOnce) {
      throwIfAborted(options.signal, 'the RAM image');
      cleared += await clearPages(target.pid, address + at, Math.min(clearBytesAtOnce, bytes - at), whose);
    }
  }
  return cleared;
}

/**
 * Writes one chunk into the destination's RAM. Chunks may come in any order and overlap in time.
 * @throws TrmigError E_IMAGE_DAMAGED when the chunk is not what its checksum says or could not have been captured;
 *   E_IMAGE_MISMATCH when it lies outside the destination's blocks; E_IMAGE_WRITE when QEMU has gone
 */
export async function restoreChunk(target: ImageProcess, chunk: ImageChunk): Promise<void> {
  const { block: blockIndex, firstPage, pageCount } = chunk;
  const where = `the image chunk at page ${firstPage} of RAM block ${blockIndex}`;
  const facts = { block: blockIndex, firstPage, pageCount };
  checkChunk(chunk, where, facts);
  const block = target.blocks[blockIndex];
  if (block === undefined || (firstPage + pageCount) * imagePageBytes > block.bytes) {
    const what = block === undefined ? `${target.blocks.length} RAM blocks` : `${block.bytes} bytes in '${block.name}'`;
    throw new TrmigError('E_IMAGE_MISMATCH', `${where} does not fit the destination, which has ${what}`, { facts });
  }
  try {
    await writeChunk(target.pid, block.address + firstPage * imagePageBytes, chunk);
  } catch (thrown) {
    if (isNativeFailure(thrown) && (thrown.errno === ERRNO.EBADMSG || thrown.errno === ERRNO.EILSEQ)) {
      const why =
        thrown.errno === ERRNO.EBADMSG ? 'its checksum does not match' : 'it does not decompress to its pages';
      throw new TrmigError('E_IMAGE_DAMAGED', `${where}: ${why}`, { facts, cause: thrown });
    }
    throw remoteError(thrown, 'E_IMAGE_WRITE', target.pid, whose);
  }
}

/** How far a restore is. */
export interface RestoreProgress {
  readonly chunks: number;
  readonly rawBytes: number;
  readonly compressedBytes: number;
}

/**
 * Clears the destination and writes a whole image, two chunks at a time. When it throws, the destination's RAM is not
 * to be used; nothing writes to it any more.
 * @throws TrmigError as `clearTarget` and `restoreChunk` do, and whatever `chunks` throws
 */
export async function restoreImage(
  target: ImageProcess,
  chunks: AsyncIterable<ImageChunk>,
  options: { signal?: AbortSignal; onProgress?: (progress: RestoreProgress) => void } = {},
): Promise<RestoreProgress> {
  let progress: RestoreProgress = { chunks: 0, rawBytes: 0, compressedBytes: 0 };
  const writing = new InFlight();
  try {
    await clearTarget(target, options);
    for await (const chunk of chunks) {
      throwIfAborted(options.signal, 'the RAM image');
      await writing.add(() => restoreChunk(target, chunk));
      progress = {
        chunks: progress.chunks + 1,
        rawBytes: progress.rawBytes + chunk.rawBytes,
        compressedBytes: progress.compressedBytes + chunk.compressed.length,
      };
      options.onProgress?.(progress);
    }
    await writing.done();
    throwIfAborted(options.signal, 'the RAM image');
    return progress;
  } finally {
    await writing.settled();
  }
}
