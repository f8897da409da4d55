// A segment's stored body in each encoding. The first four bytes say the encoding and how long the payload is said to be.
import { decodeFromDisk, encodeForDisk } from '../../../src/log/codec.js';
import { StreamSqueezer, frames } from '../../../src/log/zstd.js';
import { sealSegment, type SegmentEncoding } from '../../../src/log/segment.js';
import { icount } from '../../../src/units.js';
import { Random, randomPayload } from '../../log/support.js';
import { attempt, type Target } from '../target.js';

const encodings: readonly SegmentEncoding[] = ['raw', 'zstd', 'columnar'];

function input(encoding: SegmentEncoding, payloadBytes: number, bytes: Uint8Array): Buffer {
  const head = Buffer.alloc(4);
  head[0] = encodings.indexOf(encoding);
  head.writeUIntLE(payloadBytes, 1, 3);
  return Buffer.concat([head, bytes]);
}

export const target: Target = {
  seeds: () =>
    Array.from({ length: 8 }, (_, seed) => {
      const payload = randomPayload(new Random(seed), 2 + 3 * seed);
      const segment = sealSegment({ seq: 0, from: icount(0), payload });
      return [
        input('raw', payload.length, payload),
        input('zstd', payload.length, frames.squeeze(payload)),
        input('zstd', payload.length, new StreamSqueezer().squeeze(payload)),
        input('columnar', payload.length, encodeForDisk(segment).bytes),
      ];
    }).flat(),
  run: (bytes) => {
    if (bytes.length < 4) return;
    const place = { seq: 0, from: icount(0), to: icount(0), events: 0, canary: null, final: false };
    const header = {
      ...place,
      virtualNs: 0,
      hostNs: 0,
      checksum: 0n,
      encoding: encodings[bytes[0]! % encodings.length]!,
      payloadBytes: bytes.readUIntLE(1, 3),
    };
    attempt(() => decodeFromDisk(header, bytes.subarray(4)));
  },
};
