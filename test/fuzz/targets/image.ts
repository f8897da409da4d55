// A RAM image's file. The first byte says which checksums are made right: of the header, of each chunk that the index names,
// of index and footer; what is not made right is refused early.
import { writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ImageReader, writeImage, type ImageChunk } from '../../../src/checkpoint/index.js';
import { encodedChunkBytesMax } from '../../../src/checkpoint/chunk.js';
import {
  contentDigest,
  footerBytes,
  headerPrefixBytes,
  indexEntryBytes,
} from '../../../src/checkpoint/image-format.js';
import { frames } from '../../../src/log/zstd.js';
import { xxh3 } from '../../../src/native/index.js';
import { Random, each } from '../../log/support.js';
import { scratchFolder } from '../scratch.js';
import { attemptLater, type Target } from '../target.js';

const file = join(scratchFolder(), 'ram.img');
const page = 4096;
const mendHeader = 1;
const mendChunks = 2;
const mendFooter = 4;

function chunk(block: number, firstPage: number, pages: readonly number[], seed: number): ImageChunk {
  const raw = Buffer.concat(pages.map(() => Buffer.alloc(page, new Random(seed).bytes(16))));
  const compressed = frames.squeeze(raw);
  const rest = { block, firstPage, pageCount: 8, pages: Uint32Array.from(pages), rawBytes: raw.length };
  const body = Buffer.alloc(25);
  body.writeUInt32LE(block, 0);
  body.writeUInt32LE(rest.pageCount, 4);
  body.writeBigUInt64LE(BigInt(firstPage), 8);
  body.writeUInt32LE(pages.length, 16);
  body.writeUInt32LE(compressed.length, 20);
  for (const at of pages) body[24]! |= 1 << at;
  return { ...rest, compressed, checksum: xxh3(Buffer.concat([body, compressed])) };
}

async function image(seed: number): Promise<Buffer> {
  const blocks = ['pc.ram', 'bios'].map((name) => ({ name, bytes: 16 * page, address: 0 }));
  const chunks = [chunk(0, 0, [0, 3], seed), chunk(0, 8, [1], seed), chunk(1, 0, [7], seed)].slice(seed % 3);
  await writeImage(file, blocks, each(chunks));
  return readFile(file);
}

function mend(bytes: Buffer, which: number): void {
  if (bytes.length < headerPrefixBytes + footerBytes) return;
  const footerAt = bytes.length - footerBytes;
  const headerBytes = Math.min(bytes.readUInt32LE(12), footerAt);
  const indexAt = Math.min(Number(bytes.readBigUInt64LE(footerAt + 8)), footerAt);
  if ((which & mendHeader) !== 0 && headerBytes >= 8) {
    bytes.writeBigUInt64LE(xxh3(bytes.subarray(0, headerBytes - 8)), headerBytes - 8);
  }
  for (let at = indexAt; (which & mendChunks) !== 0 && at + indexEntryBytes <= footerAt; at += indexEntryBytes) {
    const [from, length] = [Number(bytes.readBigUInt64LE(at)), bytes.readUInt32LE(at + 24)];
    if (from + 8 > indexAt || length < 8 || length > encodedChunkBytesMax) continue;
    const checksum = xxh3(bytes.subarray(from + 8, from + length));
    bytes.writeBigUInt64LE(checksum, from);
    bytes.writeBigUInt64LE(checksum, at + 8);
  }
  if ((which & mendFooter) === 0) return;
  bytes.write(contentDigest(bytes.subarray(0, headerBytes), bytes.subarray(indexAt, footerAt)), footerAt + 32, 'hex');
  bytes.writeBigUInt64LE(BigInt(bytes.length), footerAt + 48);
  bytes.writeBigUInt64LE(xxh3(bytes.subarray(footerAt, footerAt + 56)), footerAt + 56);
}

export const target: Target = {
  bytesMax: 1024,
  seeds: async () => {
    const images: Buffer[] = [];
    for (let seed = 0; seed < 6; seed++) images.push(Buffer.concat([Buffer.of(7), await image(seed)]));
    return images;
  },
  run: async (bytes) => {
    if (bytes.length === 0) return;
    const content = Buffer.from(bytes.subarray(1));
    mend(content, bytes[0]!);
    writeFileSync(file, content);
    await attemptLater(async () => {
      const reader = await ImageReader.open(file);
      try {
        await reader.verify();
      } finally {
        await reader.close();
      }
    });
  },
};
