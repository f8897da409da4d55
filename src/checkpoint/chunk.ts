// A chunk: up to 1 MiB of one RAM block, zero pages left out, the rest compressed as one zstd frame. It is the unit in
// which an image is captured, shipped, stored and restored. Pages are 4 KiB, whatever the guest's or host's page is.
//
// On disk (little-endian; native/core/chunk.h computes the same checksum):
//
//   0  u64 checksum          XXH3-64 of all that follows
//   8  u32 block             index into the machine's RAM blocks
//   12 u32 pageCount         pages covered, 1 … 256
//   16 u64 firstPage         first page covered, counted from the block's start
//   24 u32 nonZeroPages      pages stored, at least 1
//   28 u32 compressedBytes
//   32 u8[⌈pageCount/8⌉]     bitmap of the stored pages, lowest bit first
//   …  u8[compressedBytes]   zstd frame of the stored pages
//
// Invariant: a chunk has one encoding; whatever decodes encodes to the same bytes.

import { TrmigError, type Facts } from '../errors.js';
import {
  chunkCompressedBytesMax,
  chunkPagesMax,
  imageBlockBytesMax,
  imageBlocksMax,
  imagePageBytes,
} from '../limits.js';
import { xxh3 } from '../native/index.js';

/** The fields of the wire's image chunk frame, too. */
export interface ImageChunk {
  /** Index into the machine's RAM blocks. */
  readonly block: number;
  /** In pages of 4 KiB from the block's start. */
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

/** A block of guest RAM in some process's address space: the tracer's block, as far as an image is concerned. */
export interface ImageBlock {
  readonly name: string;
  readonly address: number;
  readonly bytes: number;
}

/** A process that holds guest RAM: a frozen image, or a QEMU started with -S. */
export interface ImageProcess {
  readonly pid: number;
  readonly blocks: readonly ImageBlock[];
}

/** Bytes of an encoding before the zstd frame. */
const chunkHeadBytes = 32;
const bitmapBytes = (pageCount: number): number => Math.ceil(pageCount / 8);

/** The smallest and the largest encoding that a reader need believe in. */
export const encodedChunkBytesMin = chunkHeadBytes + 1 + 1;
export const encodedChunkBytesMax = chunkHeadBytes + bitmapBytes(chunkPagesMax) + chunkCompressedBytesMax;

/**
 * Checks that a foreign chunk is one that `captureImage` could have made. The checksum is not verified here.
 * @throws TrmigError E_IMAGE_DAMAGED naming `where`
 */
export function checkChunk(chunk: ImageChunk, where = 'an image chunk', facts: Facts = {}): void {
  const why = chunkFault(chunk);
  if (why !== null) throw new TrmigError('E_IMAGE_DAMAGED', `${where}: ${why}`, { facts });
}

const isBelow = (n: number, bound: number): boolean => Number.isSafeInteger(n) && n >= 0 && n < bound;

function chunkFault({ block, firstPage, pageCount, pages, rawBytes, compressed }: ImageChunk): string | null {
  if (!isBelow(block, imageBlocksMax)) return `no machine has a RAM block ${block}`;
  if (!isBelow(pageCount - 1, chunkPagesMax)) return `a chunk cannot cover ${pageCount} pages`;
  if (!isBelow(firstPage, imageBlockBytesMax / imagePageBytes)) return `no RAM block has a page ${firstPage}`;
  if (pages.length === 0) return 'it holds no page';
  if (rawBytes !== pages.length * imagePageBytes) return `${pages.length} pages are not ${rawBytes} bytes`;
  if (!isBelow(compressed.length - 1, chunkCompressedBytesMax))
    return `${compressed.length} bytes are no zstd frame of it`;
  let previous = -1;
  for (const page of pages) {
    if (page <= previous || page >= pageCount) return `page ${page} after ${previous}, of ${pageCount}`;
    previous = page;
  }
  return null;
}

/** The encoding's part before the zstd frame; a writer that can gather saves the copy. */
export function encodeChunkHead(chunk: ImageChunk): Buffer {
  const head = Buffer.alloc(chunkHeadBytes + bitmapBytes(chunk.pageCount));
  head.writeBigUInt64LE(chunk.checksum, 0);
  head.writeUInt32LE(chunk.block, 8);
  head.writeUInt32LE(chunk.pageCount, 12);
  head.writeBigUInt64LE(BigInt(chunk.firstPage), 16);
  head.writeUInt32LE(chunk.pages.length, 24);
  head.writeUInt32LE(chunk.compressed.length, 28);
  for (const page of chunk.pages) head[chunkHeadBytes + (page >>> 3)]! |= 1 << (page & 7);
  return head;
}

export function encodeChunk(chunk: ImageChunk): Buffer {
  return Buffer.concat([encodeChunkHead(chunk), chunk.compressed]);
}

/**
 * Decodes a whole encoding and verifies its checksum. `compressed` shares memory with `bytes`.
 * @throws TrmigError E_IMAGE_DAMAGED naming `where`
 */
export function decodeChunk(bytes: Buffer, where = 'an image chunk', facts: Facts = {}): ImageChunk {
  const damaged = (why: string): TrmigError => new TrmigError('E_IMAGE_DAMAGED', `${where}: ${why}`, { facts });
  if (bytes.length < encodedChunkBytesMin || bytes.length > encodedChunkBytesMax) {
    throw damaged(`${bytes.length} bytes are no chunk`);
  }
  const checksum = bytes.readBigUInt64LE(0);
  if (xxh3(bytes.subarray(8)) !== checksum) throw damaged('its checksum does not match');
  const pageCount = bytes.readUInt32LE(12);
  const dataAt = chunkHeadBytes + bitmapBytes(pageCount);
  if (pageCount > chunkPagesMax || bytes.length !== dataAt + bytes.readUInt32LE(28)) {
    throw damaged('its sizes contradict each other');
  }
  const pages = pagesOfBitmap(bytes.subarray(chunkHeadBytes, dataAt));
  if (pages.length !== bytes.readUInt32LE(24)) throw damaged('its bitmap does not have the pages that it counts');
  const chunk: ImageChunk = {
    block: bytes.readUInt32LE(8),
    firstPage: Number(bytes.readBigUInt64LE(16)),
    pageCount,
    pages,
    compressed: bytes.subarray(dataAt),
    rawBytes: pages.length * imagePageBytes,
    checksum,
  };
  checkChunk(chunk, where, facts);
  return chunk;
}

/** Pages past the chunk's end are left in, for checkChunk to refuse. */
function pagesOfBitmap(bitmap: Uint8Array): Uint32Array {
  const pages: number[] = [];
  for (const [at, byte] of bitmap.entries()) {
    for (let bit = 0; bit < 8; bit++) if ((byte >>> bit) & 1) pages.push(at * 8 + bit);
  }
  return Uint32Array.from(pages);
}

/**
 * Checks that blocks are whole pages, few enough and not too large.
 * @throws TrmigError E_IMAGE_MISMATCH
 */
export function checkBlocks(blocks: readonly { readonly name: string; readonly bytes: number }[]): void {
  if (blocks.length === 0 || blocks.length > imageBlocksMax) {
    throw new TrmigError('E_IMAGE_MISMATCH', `a machine has 1 to ${imageBlocksMax} RAM blocks, not ${blocks.length}`);
  }
  for (const { name, bytes } of blocks) {
    if (bytes % imagePageBytes !== 0 || !isBelow(bytes - 1, imageBlockBytesMax)) {
      throw new TrmigError('E_IMAGE_MISMATCH', `RAM block '${name}' of ${bytes} bytes is not whole pages of 4 KiB`);
    }
  }
}

/**
 * Checks that an image of blocks `stored` fits a machine of blocks `target`: the same names and sizes in the same order.
 * @throws TrmigError E_IMAGE_MISMATCH naming the first that differs
 */
export function checkSameBlocks(
  stored: readonly { readonly name: string; readonly bytes: number }[],
  target: readonly { readonly name: string; readonly bytes: number }[],
): void {
  const text = (block: { readonly name: string; readonly bytes: number } | undefined): string =>
    block === undefined ? 'nothing' : `'${block.name}' of ${block.bytes} bytes`;
  for (let i = 0; i < Math.max(stored.length, target.length); i++) {
    if (text(stored[i]) !== text(target[i])) {
      const what = `RAM block ${i} is ${text(stored[i])} in the image, ${text(target[i])} in the destination`;
      throw new TrmigError('E_IMAGE_MISMATCH', what, { facts: { block: i } });
    }
  }
}
