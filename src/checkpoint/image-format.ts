// The RAM image on disk (`ram.img`), little-endian:
//
//   header   0  u8[8]  magic "TRMIGRAM"
//            8  u32    version                1
//            12 u32    headerBytes            all of the header
//            16 u32    pageBytes              4096
//            20 u32    blocks
//            24 per block: u64 bytes, u16 nameBytes, name (UTF-8)
//            …  u64    checksum               XXH3-64 of the header before it
//   chunks      back to back, ascending by block and page; see chunk.ts
//   index       per chunk, 40 bytes: u64 offset, u64 checksum (the chunk's own), u64 firstPage, u32 bytes,
//               u32 block, u32 pageCount, u32 nonZeroPages
//   footer   0  u8[8]  magic "TRMIGEND"
//            8  u64    indexOffset
//            16 u64    rawBytes               of all stored pages
//            24 u32    chunks
//            28 u32    0
//            32 u8[16] digest                 XXH3-128 of header and index: it stands for the whole content
//            48 u64    fileBytes
//            56 u64    checksum               XXH3-64 of the footer before it
//
// Pages that no chunk stores are zero. A reader that knows version n refuses n + 1 before it looks at anything else.
// Invariant: every byte of a valid file is covered by a checksum, and chunks tile the space from header to index.

import { TrmigError } from '../errors.js';
import { chunkPagesMax, imageBlockNameBytesMax, imageBlocksMax, imagePageBytes } from '../limits.js';
import { xxh128, xxh3 } from '../native/index.js';
import { encodedChunkBytesMax, encodedChunkBytesMin, type ImageChunk } from './chunk.js';

export const imageVersion = 1;
const headerMagic = Buffer.from('TRMIGRAM', 'latin1');
const footerMagic = Buffer.from('TRMIGEND', 'latin1');
/** Enough of a header to know its length. */
export const headerPrefixBytes = 24;
const headerBytesMax = headerPrefixBytes + imageBlocksMax * (10 + imageBlockNameBytesMax) + 8;
export const indexEntryBytes = 40;
export const footerBytes = 64;

/** A RAM block as the image knows it: without an address. */
export interface StoredBlock {
  readonly name: string;
  readonly bytes: number;
}

/** Where a chunk lies in the file. */
export interface IndexEntry {
  readonly offset: number;
  readonly bytes: number;
  readonly checksum: bigint;
  readonly block: number;
  readonly firstPage: number;
  readonly pageCount: number;
  readonly nonZeroPages: number;
}

export interface Footer {
  readonly indexOffset: number;
  readonly rawBytes: number;
  readonly chunks: number;
  /** 32 hex digits. */
  readonly digest: string;
  readonly fileBytes: number;
}

/** The one error of a file that is not what was written: it names the file and the offset where that shows. */
export function damagedImage(path: string, offset: number, why: string): TrmigError {
  return new TrmigError('E_IMAGE_DAMAGED', `${path}: at offset ${offset}: ${why}`, { facts: { path, offset } });
}

export function encodeHeader(blocks: readonly StoredBlock[]): Buffer {
  const table = blocks.map(({ name, bytes }) => {
    const text = Buffer.from(name, 'utf8');
    if (text.length > imageBlockNameBytesMax) {
      throw new TrmigError('E_IMAGE_MISMATCH', `a RAM block's name is longer than ${imageBlockNameBytesMax} bytes`);
    }
    const row = Buffer.alloc(10);
    row.writeBigUInt64LE(BigInt(bytes), 0);
    row.writeUInt16LE(text.length, 8);
    return Buffer.concat([row, text]);
  });
  const prefix = Buffer.alloc(headerPrefixBytes);
  headerMagic.copy(prefix);
  prefix.writeUInt32LE(imageVersion, 8);
  prefix.writeUInt32LE(headerPrefixBytes + table.reduce((sum, row) => sum + row.length, 0) + 8, 12);
  prefix.writeUInt32LE(imagePageBytes, 16);
  prefix.writeUInt32LE(blocks.length, 20);
  return withChecksum(Buffer.concat([prefix, ...table]));
}

function withChecksum(bytes: Buffer): Buffer {
  const checksum = Buffer.alloc(8);
  checksum.writeBigUInt64LE(xxh3(bytes));
  return Buffer.concat([bytes, checksum]);
}

/** How long the header is, after magic and version have been found good. */
export function headerLength(prefix: Buffer, path: string): number {
  if (prefix.length < headerPrefixBytes || !prefix.subarray(0, 8).equals(headerMagic)) {
    throw damagedImage(path, 0, 'this is no RAM image');
  }
  const version = prefix.readUInt32LE(8);
  if (version > imageVersion) {
    throw new TrmigError('E_IMAGE_NEWER', `${path}: at offset 8: format ${version}; this trmig knows ${imageVersion}`, {
      facts: { path, offset: 8, version },
    });
  }
  const length = prefix.readUInt32LE(12);
  const bounded = length >= headerPrefixBytes + 8 && length <= headerBytesMax;
  if (version === 0 || !bounded || prefix.readUInt32LE(16) !== imagePageBytes) {
    throw damagedImage(path, 8, 'the header contradicts itself');
  }
  return length;
}

/** Decodes a header of the length that `headerLength` gave. */
export function decodeHeader(header: Buffer, path: string): StoredBlock[] {
  const end = header.length - 8;
  if (end < headerPrefixBytes || xxh3(header.subarray(0, end)) !== header.readBigUInt64LE(end)) {
    throw damagedImage(path, 0, "the header's checksum does not match");
  }
  const count = header.readUInt32LE(20);
  const blocks: StoredBlock[] = [];
  let at = headerPrefixBytes;
  while (blocks.length < count && blocks.length < imageBlocksMax && at + 10 <= end) {
    const nameEnd = at + 10 + header.readUInt16LE(at + 8);
    if (nameEnd > end) break;
    blocks.push({ bytes: Number(header.readBigUInt64LE(at)), name: header.toString('utf8', at + 10, nameEnd) });
    at = nameEnd;
  }
  if (blocks.length !== count || at !== end) throw damagedImage(path, at, 'the table of RAM blocks is cut short');
  return blocks;
}

export function encodeIndexEntry(chunk: ImageChunk, offset: number, bytes: number): Buffer {
  const entry = Buffer.alloc(indexEntryBytes);
  entry.writeBigUInt64LE(BigInt(offset), 0);
  entry.writeBigUInt64LE(chunk.checksum, 8);
  entry.writeBigUInt64LE(BigInt(chunk.firstPage), 16);
  entry.writeUInt32LE(bytes, 24);
  entry.writeUInt32LE(chunk.block, 28);
  entry.writeUInt32LE(chunk.pageCount, 32);
  entry.writeUInt32LE(chunk.pages.length, 36);
  return entry;
}

export function encodeFooter(header: Buffer, index: Buffer, indexOffset: number, rawBytes: number): Buffer {
  const footer = Buffer.alloc(footerBytes - 8);
  footerMagic.copy(footer);
  footer.writeBigUInt64LE(BigInt(indexOffset), 8);
  footer.writeBigUInt64LE(BigInt(rawBytes), 16);
  footer.writeUInt32LE(index.length / indexEntryBytes, 24);
  footer.write(contentDigest(header, index), 32, 'hex');
  footer.writeBigUInt64LE(BigInt(indexOffset + index.length + footerBytes), 48);
  return withChecksum(footer);
}

/** XXH3-128 of header and index: equal digests mean equal images, byte for byte. */
export function contentDigest(header: Buffer, index: Buffer): string {
  return xxh128(Buffer.concat([header, index]));
}

/** Decodes the last bytes of a file of `fileBytes` bytes. */
export function decodeFooter(footer: Buffer, fileBytes: number, path: string): Footer {
  const offset = fileBytes - footerBytes;
  if (!footer.subarray(0, 8).equals(footerMagic)) {
    throw damagedImage(path, fileBytes, 'the file ends without its footer: it is cut short or was never finished');
  }
  if (xxh3(footer.subarray(0, 56)) !== footer.readBigUInt64LE(56) || footer.readUInt32LE(28) !== 0) {
    throw damagedImage(path, offset, "the footer's checksum does not match");
  }
  const decoded: Footer = {
    indexOffset: Number(footer.readBigUInt64LE(8)),
    rawBytes: Number(footer.readBigUInt64LE(16)),
    chunks: footer.readUInt32LE(24),
    digest: footer.toString('hex', 32, 48),
    fileBytes: Number(footer.readBigUInt64LE(48)),
  };
  const { indexOffset, chunks } = decoded;
  if (decoded.fileBytes !== fileBytes || indexOffset + chunks * indexEntryBytes + footerBytes !== fileBytes) {
    throw damagedImage(path, offset, `the file has ${fileBytes} bytes, its footer says otherwise`);
  }
  return decoded;
}

/** Decodes the index and checks that its chunks tile the file, ascend, and lie within their blocks. */
export function decodeIndex(
  index: Buffer,
  { headerBytes, footer, blocks }: { headerBytes: number; footer: Footer; blocks: readonly StoredBlock[] },
  path: string,
): IndexEntry[] {
  const entries: IndexEntry[] = [];
  let offset = headerBytes;
  let free = { block: 0, page: 0 };
  let rawBytes = 0;
  for (let at = 0; at < index.length; at += indexEntryBytes) {
    const entry: IndexEntry = {
      offset: Number(index.readBigUInt64LE(at)),
      checksum: index.readBigUInt64LE(at + 8),
      firstPage: Number(index.readBigUInt64LE(at + 16)),
      bytes: index.readUInt32LE(at + 24),
      block: index.readUInt32LE(at + 28),
      pageCount: index.readUInt32LE(at + 32),
      nonZeroPages: index.readUInt32LE(at + 36),
    };
    const { block, firstPage, pageCount, bytes } = entry;
    const sized = bytes >= encodedChunkBytesMin && bytes <= encodedChunkBytesMax && pageCount <= chunkPagesMax;
    const ascends = block > free.block || (block === free.block && firstPage >= free.page);
    const inside = block < blocks.length && (firstPage + pageCount) * imagePageBytes <= blocks[block]!.bytes;
    if (entry.offset !== offset || !sized || !ascends || !inside) {
      throw damagedImage(path, footer.indexOffset + at, `the index is wrong about chunk ${entries.length}`);
    }
    entries.push(entry);
    offset += bytes;
    free = { block, page: firstPage + pageCount };
    rawBytes += entry.nonZeroPages * imagePageBytes;
  }
  if (offset !== footer.indexOffset || rawBytes !== footer.rawBytes) {
    throw damagedImage(path, footer.indexOffset, 'the index does not cover the file');
  }
  return entries;
}
