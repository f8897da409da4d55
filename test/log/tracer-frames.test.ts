// The tracer's frames: both ways, cut anywhere, and nothing damaged gets through.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { encodeTracerFrame, TracerFrameDecoder, tracerHeaderBytes } from '../../src/log/tracer-frames.js';
import { sealSegment, type Segment } from '../../src/log/segment.js';
import { icount } from '../../src/units.js';
import { mutate, randomLog, refusal, seeded } from './support.js';

t.test('the header has the layout of docs/tracer-protocol.md', (t) => {
  const segment = sealSegment({
    seq: 7,
    from: icount(1000),
    payload: Buffer.from([0, 0, 0, 0, 5, 1]),
    canary: 0xfedcba9876543210n,
    final: true,
    virtualNs: 2 ** 40,
    hostNs: 2 ** 41,
  });
  const frame = encodeTracerFrame(segment);
  t.equal(frame.length, 72 + 6);
  t.equal(frame.toString('latin1', 0, 4), 'TRL1');
  t.equal(frame.readUInt32LE(0), 0x314c5254);
  t.equal(frame.readUInt16LE(4), 1);
  t.equal(frame.readUInt16LE(6), 3);
  t.equal(frame.readUInt32LE(8), 6);
  t.equal(frame.readUInt32LE(12), 2);
  t.equal(frame.readBigUInt64LE(16), 7n);
  t.equal(frame.readBigUInt64LE(24), 1000n);
  t.equal(frame.readBigUInt64LE(32), 1005n);
  t.equal(frame.readBigUInt64LE(40), 0xfedcba9876543210n);
  t.equal(frame.readBigUInt64LE(48), 1n << 40n);
  t.equal(frame.readBigUInt64LE(56), 1n << 41n);
  t.equal(frame.readBigUInt64LE(64), segment.checksum);
  t.end();
});

t.test('segments come out as they went in, wherever the stream is cut', (t) => {
  const random = seeded(t);
  for (let round = 0; round < 40; round++) {
    const segments = randomLog(random, 1 + random.below(6));
    const stream = Buffer.concat(segments.map(encodeTracerFrame));
    const decoder = new TracerFrameDecoder();
    const found: Segment[] = [];
    for (let at = 0; at < stream.length;) {
      const length = 1 + random.below(random.pick([1, 80, 5000]));
      found.push(...decoder.push(stream.subarray(at, at + length)));
      at += length;
    }
    decoder.end();
    t.same(found, segments);
  }
  t.end();
});

t.test('a segment does not share memory with the chunk it came in', (t) => {
  const [segment] = randomLog(seeded(t), 1);
  const chunk = encodeTracerFrame(segment!);
  const [found] = new TracerFrameDecoder().push(chunk);
  chunk.fill(0);
  t.ok(found?.payload.equals(segment!.payload));
  t.end();
});

t.test('version 1 of the stream is read', (t) => {
  const decoder = new TracerFrameDecoder();
  const segments = decoder.push(readFileSync('fixtures/logs/v1/frames.trl'));
  decoder.end();
  t.equal(segments.length, 5);
  t.same(
    segments.map((segment) => segment.final),
    [false, false, false, false, true],
  );
  t.same(
    segments.map((segment) => segment.canary),
    [0n, null, 0x2222222222222222n, null, 0x4444444444444444n],
  );
  t.end();
});

const { frames: expected } = JSON.parse(readFileSync('fixtures/damaged/expected.json', 'utf8')) as {
  frames: Record<string, { code: string; offset: number }>;
};
for (const [fault, { code, offset }] of Object.entries(expected)) {
  t.test(`a damaged stream gives one error with its offset, and the same ever after: ${fault}`, (t) => {
    const bytes = readFileSync(`fixtures/damaged/frames/${fault}.trl`);
    for (const step of [bytes.length, 13]) {
      const decoder = new TracerFrameDecoder();
      const found: Segment[] = [];
      const error = refusal(() => {
        for (let at = 0; at < bytes.length; at += step) found.push(...decoder.push(bytes.subarray(at, at + step)));
        decoder.end();
      });
      t.match(error, { code, facts: { offset } });
      if (step === 13) t.equal(found.length, 1, 'the segment before the fault came out');
      if (!fault.startsWith('ends-in'))
        t.equal(
          refusal(() => decoder.push(Buffer.from([1]))),
          error,
        );
    }
    t.end();
  });
}

t.test('random bytes and mutated frames give segments or E_TRACER_FRAME, nothing else', (t) => {
  const random = seeded(t);
  const honest = Buffer.concat(randomLog(random, 3).map(encodeTracerFrame));
  for (let round = 0; round < 1500; round++) {
    const bytes = round % 3 === 0 ? random.bytes(random.below(3 * tracerHeaderBytes)) : mutate(random, honest);
    const decoder = new TracerFrameDecoder();
    const error = refusal(() => {
      decoder.push(bytes);
      decoder.end();
    });
    if (error !== null && error.code !== 'E_TRACER_FRAME') t.fail(error.message);
  }
  t.end();
});
