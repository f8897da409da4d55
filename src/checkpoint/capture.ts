// Reads a frozen image as a stream of chunks while the machine itself runs on.
// Invariant: at most `concurrency` chunks are being read or wait for the consumer, so memory is bounded however slow the
// consumer is; chunks come in order (block, then page); when the iteration ends, however it ends, nothing reads any more
// and the frozen image may be thawed.

import { TrmigError, throwIfAborted } from '../errors.js';
import { captureConcurrency, captureConcurrencyMax, chunkPagesMax, chunkZstdLevel, imagePageBytes } from '../limits.js';
import { captureChunk, remoteError } from '../native/index.js';
import { checkBlocks, type ImageChunk, type ImageProcess } from './chunk.js';

/** How far a capture is. The object is the reporter's to keep: each call gets a new one. */
export interface CaptureProgress {
  /** Guest RAM read so far, and in all. */
  readonly scannedBytes: number;
  readonly totalBytes: number;
  /** Of these, what was not zero, and what that became. */
  readonly rawBytes: number;
  readonly compressedBytes: number;
  readonly chunks: number;
}

export interface CaptureOptions {
  readonly signal?: AbortSignal;
  /** Chunks read ahead, 1 … 16. */
  readonly concurrency?: number;
  /** zstd level, 1 … 19. */
  readonly level?: number;
  /** Called after each MiB of guest RAM, zero or not, on the main thread. */
  readonly onProgress?: (progress: CaptureProgress) => void;
}

interface Span {
  readonly block: number;
  readonly firstPage: number;
  readonly pageCount: number;
}

function* spansOf(blocks: ImageProcess['blocks']): Generator<Span> {
  for (const [block, { bytes }] of blocks.entries()) {
    const pages = bytes / imagePageBytes;
    for (let firstPage = 0; firstPage < pages; firstPage += chunkPagesMax) {
      yield { block, firstPage, pageCount: Math.min(chunkPagesMax, pages - firstPage) };
    }
  }
}

/** Reads one span; null when all of it is zero. */
async function captureSpan(frozen: ImageProcess, span: Span, level: number): Promise<ImageChunk | null> {
  const { block, firstPage, pageCount } = span;
  const address = frozen.blocks[block]!.address + firstPage * imagePageBytes;
  try {
    const { pages, compressed, checksum } = await captureChunk(frozen.pid, address, level, block, firstPage, pageCount);
    if (pages.length === 0) return null;
    return { block, firstPage, pageCount, pages, compressed, rawBytes: pages.length * imagePageBytes, checksum };
  } catch (thrown) {
    throw remoteError(thrown, 'E_IMAGE_READ', frozen.pid, "QEMU's frozen image");
  }
}

/**
 * Streams a frozen image's RAM. Spans of zeros yield nothing: a restore begins with `clearTarget`.
 * @throws TrmigError E_IMAGE_READ when the frozen image has gone or may not be read; E_ABORTED; E_IMAGE_MISMATCH when
 *   `frozen.blocks` cannot be RAM blocks
 */
export async function* captureImage(
  frozen: ImageProcess,
  options: CaptureOptions = {},
): AsyncGenerator<ImageChunk, void> {
  const { signal, concurrency = captureConcurrency, level = chunkZstdLevel, onProgress } = options;
  checkBlocks(frozen.blocks);
  if (!(concurrency >= 1 && concurrency <= captureConcurrencyMax) || !(level >= 1 && level <= 19)) {
    throw new TrmigError('E_INTERNAL', `cannot capture with concurrency ${concurrency}, level ${level}`);
  }
  const totalBytes = frozen.blocks.reduce((sum, { bytes }) => sum + bytes, 0);
  const spans = spansOf(frozen.blocks);
  const underway: { span: Span; chunk: Promise<ImageChunk | null> }[] = [];
  const readAhead = (): void => {
    while (underway.length < concurrency) {
      const next = spans.next();
      if (next.done === true) return;
      const span = next.value;
      const chunk = captureSpan(frozen, span, level);
      chunk.catch(() => {}); // It is reported when its turn comes; until then it is not unhandled.
      underway.push({ span, chunk });
    }
  };

  let progress: CaptureProgress = { scannedBytes: 0, totalBytes, rawBytes: 0, compressedBytes: 0, chunks: 0 };
  try {
    throwIfAborted(signal, 'the RAM image');
    for (;;) {
      readAhead();
      if (underway.length === 0) return;
      const { span, chunk: pending } = underway[0]!;
      const chunk = await pending;
      throwIfAborted(signal, 'the RAM image');
      underway.shift();
      progress = {
        scannedBytes: progress.scannedBytes + span.pageCount * imagePageBytes,
        totalBytes,
        rawBytes: progress.rawBytes + (chunk?.rawBytes ?? 0),
        compressedBytes: progress.compressedBytes + (chunk?.compressed.length ?? 0),
        chunks: progress.chunks + (chunk === null ? 0 : 1),
      };
      onProgress?.(progress);
      if (chunk !== null) {
        readAhead();
        yield chunk;
        throwIfAborted(signal, 'the RAM image');
      }
    }
  } finally {
    await Promise.allSettled(underway.map(({ chunk }) => chunk));
  }
}
