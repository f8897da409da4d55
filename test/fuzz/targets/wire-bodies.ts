// A frame's body and payload behind its checksum, which a hostile peer makes as well as we do. The first two bytes choose
// the kind and how long the body is.
import { isDeepStrictEqual } from 'node:util';
import { decodeBody, encodeBody } from '../../../src/wire/codec.js';
import { FRAME_KINDS, type FrameKind } from '../../../src/wire/frames.js';
import { allSamples } from '../../wire/samples.js';
import { attempt, must, type Target } from '../target.js';

const kinds = Object.keys(FRAME_KINDS) as FrameKind[];

export const target: Target = {
  seeds: () =>
    allSamples.map((frame) => {
      const { body, payload } = encodeBody(frame);
      const head = Buffer.from([kinds.indexOf(frame.kind), 0, 0]);
      head.writeUInt16LE(body.length, 1);
      return Buffer.concat([head, body, payload ?? Buffer.alloc(0)]);
    }),
  run: (bytes) => {
    if (bytes.length < 3) return;
    const kind = kinds[bytes[0]! % kinds.length]!;
    const bodyEnd = 3 + Math.min(bytes.readUInt16LE(1), bytes.length - 3);
    const frame = attempt(() => decodeBody(kind, bytes.subarray(3, bodyEnd), bytes.subarray(bodyEnd)));
    if (frame === undefined) return;
    const { body, payload } = encodeBody(frame);
    const again = decodeBody(kind, Buffer.from(body), payload ?? Buffer.alloc(0));
    must(isDeepStrictEqual(again, frame), `a ${kind} frame changes when it is encoded and decoded`);
  },
};
