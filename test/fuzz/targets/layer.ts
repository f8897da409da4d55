// A disk layer as it comes from another host: chunks that claim places in it, then the judgement of what they make. Each chunk is
// 16 bytes and what they say follows; its checksum is made right unless the flags say otherwise.
import { join } from 'node:path';
import { LayerWriter, type LayerChunk } from '../../../src/disk/index.js';
import { frames } from '../../../src/log/zstd.js';
import { xxh3 } from '../../../src/native/index.js';
import { scratchFolder } from '../scratch.js';
import { attemptLater, type Target } from '../target.js';

const page = 4096;
const headBytes = 16;
const layer = {
  id: '1f0e7a52-8c6d-4b6e-8f27-5a4d3c2b1a09',
  file: join(scratchFolder(), 'layer'),
  format: 'raw',
} as const;

function checksumOf({ layer: number, firstPage, pageCount, pages, compressed }: Omit<LayerChunk, 'checksum'>): bigint {
  const bitmap = Buffer.alloc(Math.ceil(Math.min(pageCount, 256) / 8));
  for (const at of pages) if (at >>> 3 < bitmap.length) bitmap[at >>> 3]! |= 1 << (at & 7);
  const head = Buffer.alloc(24);
  head.writeUInt32LE(number, 0);
  head.writeUInt32LE(pageCount, 4);
  head.writeBigUInt64LE(BigInt(firstPage), 8);
  head.writeUInt32LE(pages.length, 16);
  head.writeUInt32LE(compressed.length, 20);
  return xxh3(Buffer.concat([head, bitmap, compressed]));
}

/** flags u8, - u8, pageCount u16, firstPage u32, rawPages u16, pages u16, compressedBytes u16, -; pages u16 each; bytes. */
function* chunksOf(bytes: Buffer): Generator<LayerChunk> {
  for (let at = 0; at + headBytes <= bytes.length;) {
    const pageCount = bytes.readUInt16LE(at + 2);
    const listed = Math.min(bytes.readUInt16LE(at + 10), (bytes.length - at - headBytes) >> 1);
    const compressedAt = at + headBytes + 2 * listed;
    const compressed = bytes.subarray(compressedAt, compressedAt + bytes.readUInt16LE(at + 12));
    const chunk = {
      layer: 0,
      firstPage: bytes.readUInt32LE(at + 4),
      pageCount,
      pages: Uint32Array.from({ length: listed }, (_, i) => bytes.readUInt16LE(at + headBytes + 2 * i)),
      rawBytes: bytes.readUInt16LE(at + 8) * page,
      compressed,
    };
    yield { ...chunk, checksum: (bytes[at]! & 1) === 1 ? 0n : checksumOf(chunk) };
    at = compressedAt + compressed.length;
  }
}

function encoded(firstPage: number, pageCount: number, pages: readonly number[]): Buffer {
  const compressed = frames.squeeze(Buffer.alloc(pages.length * page, 'x'));
  const head = Buffer.alloc(headBytes + 2 * pages.length);
  for (const [at, value] of [
    [2, pageCount],
    [8, pages.length],
    [10, pages.length],
    [12, compressed.length],
  ] as const) {
    head.writeUInt16LE(value, at);
  }
  head.writeUInt32LE(firstPage, 4);
  pages.forEach((at, i) => head.writeUInt16LE(at, headBytes + 2 * i));
  return Buffer.concat([head, compressed]);
}

/** Two chunks, of which the second is shorter and ends inside a page. */
const fileBytes = 260 * page + 512;

export const target: Target = {
  seeds: () => [
    encoded(0, 256, [0, 1, 255]),
    Buffer.concat([encoded(256, 5, [0, 4]), encoded(0, 256, [9])]),
    Buffer.concat([encoded(0, 256, [1]), encoded(0, 256, [1])]),
  ],
  run: async (bytes) => {
    const writer = await LayerWriter.create(layer, fileBytes);
    await attemptLater(async () => {
      for (const chunk of chunksOf(bytes)) await writer.write(chunk);
      await writer.finish({ bytes: fileBytes, digest: '' }, fileBytes);
    });
    await writer.discard();
  },
};
