// The tracer's stream of segment frames, cut anywhere. The first byte says where, and whether the first frame's checksum is made
// right.
import { isDeepStrictEqual } from 'node:util';
import { TracerFrameDecoder, encodeTracerFrame, tracerHeaderBytes } from '../../../src/log/tracer-frames.js';
import type { Segment } from '../../../src/log/segment.js';
import { xxh3 } from '../../../src/native/index.js';
import { Random, randomLog } from '../../log/support.js';
import { attempt, must, type Target } from '../target.js';

function mend(stream: Buffer): void {
  if (stream.length < tracerHeaderBytes) return;
  const payload = stream.subarray(tracerHeaderBytes, tracerHeaderBytes + stream.readUInt32LE(8));
  stream.writeBigUInt64LE(xxh3(payload), 64);
}

function decode(stream: Buffer, cut: number): Segment[] {
  const decoder = new TracerFrameDecoder();
  const segments: Segment[] = [];
  for (let at = 0; at < stream.length; at += cut) {
    const more = attempt(() => decoder.push(stream.subarray(at, at + cut)));
    if (more === undefined) break;
    segments.push(...more);
  }
  attempt(() => decoder.end());
  return segments;
}

export const target: Target = {
  seeds: () =>
    Array.from({ length: 10 }, (_, seed) => {
      const frames = randomLog(new Random(seed), 1 + (seed % 3), 6).map(encodeTracerFrame);
      return Buffer.concat([Buffer.of(7 * seed), ...frames]);
    }),
  run: (bytes) => {
    if (bytes.length === 0) return;
    const stream = Buffer.from(bytes.subarray(1));
    if ((bytes[0]! & 1) !== 0) mend(stream);
    // One push hands out the segments before a fault only if they came in earlier pushes.
    const pieces = decode(stream, 1 + (bytes[0]! >> 1));
    const whole = decode(stream, Math.max(1, stream.length));
    must(whole.length === 0 || isDeepStrictEqual(pieces, whole), 'where the stream is cut changes what comes out');
    const again = Buffer.concat(whole.map(encodeTracerFrame));
    must(
      again.equals(stream.subarray(0, again.length)) || whole.some(isRounded),
      'a frame changes when it is encoded again',
    );
  },
};

/** Times beyond 2^53 ns are rounded, and a frame may carry a canary that its flags deny. */
const isRounded = ({ virtualNs, hostNs, canary }: Segment): boolean =>
  virtualNs > Number.MAX_SAFE_INTEGER || hostNs > Number.MAX_SAFE_INTEGER || canary === null;
