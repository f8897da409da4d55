// The typed face of the addon. Everything is checked here, so that the native layer only translates: a wrong argument
// must never reach a system call on another process's memory. `whose` is how a person knows that process, for errors.
// Invariant: what touches another process's memory runs on libuv's pool, never on the main thread; Buffers handed in
// stay untouched by the caller until the promise is settled.

import { TrmigError } from '../errors.js';
import { chunkPagesMax, imagePageBytes, remoteReadBytesMax } from '../limits.js';
import { remoteError } from './failure.js';
import { addon, type NativeChunk, type NativePages, type NativeScan } from './load.js';

export { ERRNO, isNativeFailure, remoteError, type NativeFailure } from './failure.js';
export { dataExtents, readLayerChunk, writeLayerChunk, type LayerRange } from './layers.js';
export type { NativeChunk, NativeLayerChunk, NativePages, NativeScan } from './load.js';

/** A piece of another process's memory. */
export interface RemoteBlock {
  readonly address: number;
  readonly bytes: number;
}

function check(holds: boolean, what: string): void {
  if (!holds) throw new TrmigError('E_INTERNAL', `native: ${what}`);
}

const isCount = (n: number): boolean => Number.isSafeInteger(n) && n >= 0;

function checkRange(pid: number, address: number, bytes: number): void {
  check(Number.isInteger(pid) && pid > 0 && pid < 2 ** 31, `no process id: ${pid}`);
  check(isCount(address) && address > 0, `no address: ${address}`);
  check(isCount(bytes) && isCount(address + bytes), `no size: ${bytes}`);
}

function checkPageBytes(pageBytes: number): void {
  const powerOfTwo = Number.isInteger(pageBytes) && pageBytes > 0 && (pageBytes & (pageBytes - 1)) === 0;
  check(powerOfTwo && pageBytes >= 512 && pageBytes <= remoteReadBytesMax, `no page size: ${pageBytes}`);
}

/** Page numbers must be ascending, so that none is written twice, and below `pageCount`. */
function checkPages(pages: Uint32Array, pageCount: number): void {
  check(pages instanceof Uint32Array, 'page numbers must be a Uint32Array');
  let previous = -1;
  for (const page of pages) {
    check(page > previous && page < pageCount, `page ${page} after ${previous}, of ${pageCount}`);
    previous = page;
  }
}

/** XXH3-64, seed 0. Synchronous: about 10 GB/s. */
export function xxh3(bytes: Uint8Array): bigint {
  check(bytes instanceof Uint8Array, 'xxh3 takes bytes');
  return addon().xxh3(bytes);
}

/** XXH3-128, seed 0, as 32 lower-case hex digits. Synchronous. */
export function xxh128(bytes: Uint8Array): string {
  check(bytes instanceof Uint8Array, 'xxh128 takes bytes');
  return addon().xxh128(bytes);
}

/**
 * Reads `bytes` (a multiple of `pageBytes`, at most 16 MiB) of a process's memory and drops the pages that are zero.
 * @throws TrmigError E_IMAGE_READ when the process is gone, may not be read, or has no memory there.
 */
export async function readPages(
  pid: number,
  address: number,
  bytes: number,
  pageBytes: number,
  whose = 'the process to read',
): Promise<NativePages> {
  checkRange(pid, address, bytes);
  checkPageBytes(pageBytes);
  check(bytes % pageBytes === 0 && bytes <= remoteReadBytesMax, `cannot read ${bytes} bytes in pages`);
  try {
    return await addon().readPages(pid, address, bytes, pageBytes);
  } catch (thrown) {
    throw remoteError(thrown, 'E_IMAGE_READ', pid, whose);
  }
}

/**
 * Writes pages to a process's memory: `data` holds them one after the other, `pages` (ascending) counts from `address`.
 * @throws TrmigError E_IMAGE_WRITE
 */
export async function writePages(
  pid: number,
  address: number,
  pageBytes: number,
  pages: Uint32Array,
  data: Uint8Array,
  whose = 'the process to write',
): Promise<void> {
  checkPageBytes(pageBytes);
  checkPages(pages, 2 ** 32);
  checkRange(pid, address, (pages.length === 0 ? 0 : pages[pages.length - 1]! + 1) * pageBytes);
  check(data instanceof Uint8Array && data.byteLength === pages.length * pageBytes, 'data and pages differ in length');
  try {
    await addon().writePages(pid, address, pageBytes, pages, data);
  } catch (thrown) {
    throw remoteError(thrown, 'E_IMAGE_WRITE', pid, whose);
  }
}

/**
 * Makes a range (whole 4 KiB pages) of a process's memory zero, writing only pages that are not. Returns how many.
 * @throws TrmigError E_IMAGE_WRITE
 */
export async function clearPages(
  pid: number,
  address: number,
  bytes: number,
  whose = 'the process to write',
): Promise<number> {
  checkRange(pid, address, bytes);
  check(bytes % imagePageBytes === 0, `cannot clear ${bytes} bytes in pages`);
  try {
    return await addon().clearPages(pid, address, bytes);
  } catch (thrown) {
    throw remoteError(thrown, 'E_IMAGE_WRITE', pid, whose);
  }
}

/**
 * XXH3-128 over all blocks' bytes in their order, as one stream: what the tracer's `digest` calls `ram`.
 * @throws TrmigError E_IMAGE_READ
 */
export async function digestBlocks(
  pid: number,
  blocks: readonly RemoteBlock[],
  whose = 'the process to digest',
): Promise<string> {
  for (const { address, bytes } of blocks) checkRange(pid, address, bytes);
  checkRange(pid, 1, 0);
  try {
    return await addon().digestBlocks(
      pid,
      blocks.flatMap(({ address, bytes }) => [address, bytes]),
    );
  } catch (thrown) {
    throw remoteError(thrown, 'E_IMAGE_READ', pid, whose);
  }
}

/**
 * Reads up to 256 pages of 4 KiB at `address`, drops zero pages, compresses the rest. `block` and `firstPage` only enter
 * the checksum. Rejects with a NativeFailure: what the process is to a person, the caller knows.
 */
export async function captureChunk(
  pid: number,
  address: number,
  level: number,
  block: number,
  firstPage: number,
  pageCount: number,
): Promise<NativeChunk> {
  check(pageCount > 0 && pageCount <= chunkPagesMax, `no chunk has ${pageCount} pages`);
  checkRange(pid, address, pageCount * imagePageBytes);
  check(isCount(firstPage) && isCount(block) && block < 2 ** 32, `no chunk: block ${block}, page ${firstPage}`);
  return addon().captureChunk(pid, address, level, block, firstPage, pageCount);
}

/**
 * Verifies, decompresses and writes a chunk whose first page lies at `address`. Rejects with a NativeFailure: EBADMSG
 * for a wrong checksum, EILSEQ for bytes that are not the announced pages; nothing has been written then.
 */
export async function restoreChunk(
  pid: number,
  address: number,
  chunk: {
    readonly block: number;
    readonly firstPage: number;
    readonly pageCount: number;
    readonly pages: Uint32Array;
    readonly compressed: Uint8Array;
    readonly checksum: bigint;
  },
): Promise<void> {
  const { block, firstPage, pageCount, pages, compressed, checksum } = chunk;
  check(pageCount > 0 && pageCount <= chunkPagesMax, `no chunk has ${pageCount} pages`);
  checkRange(pid, address, pageCount * imagePageBytes);
  checkPages(pages, pageCount);
  check(isCount(firstPage) && isCount(block) && block < 2 ** 32, `no chunk: block ${block}, page ${firstPage}`);
  check(compressed instanceof Uint8Array, 'a chunk holds bytes');
  await addon().restoreChunk(pid, address, block, firstPage, pageCount, pages, compressed, checksum);
}

/** Counts the events of a segment's payload. Synchronous, about 200 MB/s; damage is told in `error`, not thrown. */
export function scanEvents(payload: Uint8Array): NativeScan {
  check(payload instanceof Uint8Array, 'scanEvents takes bytes');
  return addon().scanEvents(payload);
}
