// A link's log, frame after frame, as a hostile source sends it: what a decoder has learned from one frame serves the next.
// Each frame is two bytes of length and flags, then its bytes; the first is preceded by an honest segment, which a lean one
// must follow.
import { WireDecoder, WireEncoder } from '../../../src/log/codec.js';
import { sealSegment, type Segment } from '../../../src/log/segment.js';
import { icount } from '../../../src/units.js';
import { Random, randomPayload } from '../../log/support.js';
import { attempt, must, type Target } from '../target.js';

const lengthMask = 0x0fff;

function segments(seed: number): Segment[] {
  const random = new Random(seed);
  const made: Segment[] = [];
  for (let seq = 0, from = icount(0); seq < 4; seq++, from = made.at(-1)!.to) {
    const payload = randomPayload(random, 1 + random.below(8));
    made.push(
      sealSegment({ seq, from, payload, virtualNs: 50 * seq, hostNs: 60 * seq, canary: seq === 2 ? 7n : null }),
    );
  }
  return made;
}

const first = segments(0)[0]!;
const opening = new WireEncoder({ columnar: true }).encode(first);

function framed(bytes: Uint8Array): Buffer {
  const head = Buffer.alloc(2);
  head.writeUInt16LE(bytes.length);
  return Buffer.concat([head, bytes]);
}

function honest(seed: number): Buffer {
  const encoder = new WireEncoder({ columnar: true });
  encoder.encode(first);
  let from = first.to;
  const sent = segments(seed)
    .slice(1)
    .map((one) => {
      const segment = sealSegment({ ...one, from });
      from = segment.to;
      return encoder.encode(segment);
    });
  return Buffer.concat(sent.filter(({ bytes }) => bytes.length <= lengthMask).map(({ bytes }) => framed(bytes)));
}

export const target: Target = {
  seeds: () => Array.from({ length: 12 }, (_, seed) => honest(seed)),
  run: (bytes) => {
    const decoder = new WireDecoder();
    decoder.decode(opening.header, opening.bytes);
    for (let at = 0, failed = false; at + 2 <= bytes.length;) {
      const length = bytes.readUInt16LE(at) & lengthMask;
      const segment = attempt(() => decoder.decode(null, bytes.subarray(at + 2, at + 2 + length)));
      must(!failed || segment === undefined, 'a decoder that has failed goes on');
      failed = segment === undefined;
      at += 2 + length;
    }
  },
};
