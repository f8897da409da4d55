// Files of disk layers, in chunks: the typed face of native/core/layer.h. All run on libuv's pool; the caller keeps the file
// open until the promise is settled. A rejected promise carries a NativeFailure: what the file is, the caller knows.
import { TrmigError } from '../errors.js';
import { chunkPagesMax, imagePageBytes } from '../limits.js';
import { addon, type NativeLayerChunk } from './load.js';

/** One aligned MiB of a layer's file, or what is left of it at the end. */
export interface LayerRange {
  /** Enters the checksum: it tells the layers of one shipment apart. */
  readonly layer: number;
  /** In pages of 4 KiB from the file's start. */
  readonly firstPage: number;
  readonly pageCount: number;
}

function check(holds: boolean, what: string): void {
  if (!holds) throw new TrmigError('E_INTERNAL', `native: ${what}`);
}

const isCount = (n: number): boolean => Number.isSafeInteger(n) && n >= 0;

function checkFile(fd: number): void {
  check(Number.isInteger(fd) && fd >= 0 && fd < 2 ** 31, `no file descriptor: ${fd}`);
}

function checkLayerRange({ layer, firstPage, pageCount }: LayerRange, fileBytes: number): void {
  check(isCount(layer) && layer < 2 ** 32, `no layer: ${layer}`);
  check(isCount(firstPage) && isCount(fileBytes), `no range: page ${firstPage} of ${fileBytes} bytes`);
  const rest = Math.ceil(fileBytes / imagePageBytes) - firstPage;
  check(rest > 0 && pageCount > 0 && pageCount <= Math.min(chunkPagesMax, rest), `${pageCount} pages of ${rest}`);
}

/** Where a file holds data between two offsets: pairs of offset and length, ascending, at most `countMax` of them. */
export async function dataExtents(fd: number, from: number, to: number, countMax: number): Promise<Float64Array> {
  checkFile(fd);
  check(isCount(from) && isCount(to) && isCount(countMax) && countMax > 0, `no extents from ${from} to ${to}`);
  return addon().dataExtents(fd, from, to, countMax);
}

/** Reads a range, drops zero pages, compresses the rest. EIO: the file has become shorter than `fileBytes`. */
export async function readLayerChunk(
  fd: number,
  fileBytes: number,
  level: number,
  range: LayerRange,
): Promise<NativeLayerChunk> {
  checkFile(fd);
  checkLayerRange(range, fileBytes);
  check(level >= 1 && level <= 19, `no zstd level: ${level}`);
  return addon().readLayerChunk(fd, fileBytes, level, range.layer, range.firstPage, range.pageCount);
}

/**
 * Verifies, decompresses and writes a chunk; resolves to the digest of the range's raw bytes. EBADMSG: wrong checksum; EILSEQ:
 * not the announced pages; nothing has been written then.
 */
export async function writeLayerChunk(
  fd: number,
  fileBytes: number,
  range: LayerRange,
  pages: Uint32Array,
  compressed: Uint8Array,
  checksum: bigint,
): Promise<bigint> {
  checkFile(fd);
  checkLayerRange(range, fileBytes);
  let previous = -1;
  for (const page of pages) {
    check(page > previous && page < range.pageCount, `page ${page} after ${previous}, of ${range.pageCount}`);
    previous = page;
  }
  const { layer, firstPage, pageCount } = range;
  return addon().writeLayerChunk(fd, fileBytes, layer, firstPage, pageCount, pages, compressed, checksum);
}
