// The two encodings of a payload: what comes out is what went in, bounded and checked.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { compress } from 'zstd-napi';
import {
  decodeFromDisk,
  encodedHeader,
  encodeForDisk,
  WireDecoder,
  WireEncoder,
  type EncodedHeader,
} from '../../src/log/codec.js';
import { readQemuLog } from '../../src/log/qemu-log.js';
import { sealSegment, type Segment } from '../../src/log/segment.js';
import { decodeEvents } from '../../src/log/decoder.js';
import { icount } from '../../src/units.js';
import { mutate, randomLog, refusal, seeded } from './support.js';

/** The real log in segments of ten events. */
function tinySegments(): Segment[] {
  const { payload } = readQemuLog(readFileSync('fixtures/logs/v1/devices.qemu-log'));
  const cuts = [...decodeEvents(payload, icount(0))]
    .filter((_, index) => index % 10 === 0)
    .map((event) => event.offset);
  const segments: Segment[] = [];
  let from = icount(0);
  cuts.forEach((start, seq) => {
    const segment = sealSegment({ seq, from, payload: payload.subarray(start, cuts[seq + 1] ?? payload.length) });
    segments.push(segment);
    from = segment.to;
  });
  return segments;
}

t.test('segments cross the wire unchanged, each decodable as soon as it is there', (t) => {
  const random = seeded(t);
  const segments = randomLog(random, 60);
  const encoder = new WireEncoder();
  const decoder = new WireDecoder();
  for (const segment of segments) {
    t.same(decoder.decode(encodedHeader(segment), encoder.encode(segment)), segment);
  }
  t.end();
});

t.test('a payload that does not compress, of many megabytes, crosses too', (t) => {
  const noise = seeded(t).bytes(5_000_000);
  const payload = Buffer.concat([Buffer.from('17', 'hex'), Buffer.alloc(4), noise]);
  payload.writeUInt32BE(noise.length, 1);
  const segment = sealSegment({ seq: 0, from: icount(0), payload });
  const [encoder, decoder] = [new WireEncoder(), new WireDecoder()];
  t.ok(decoder.decode(encodedHeader(segment), encoder.encode(segment)).payload.equals(payload));
  t.ok(decodeFromDisk(encodedHeader(segment), encodeForDisk(segment)).payload.equals(payload));
  t.end();
});

t.test('tiny segments compress against their past on the wire, and only there', (t) => {
  const segments = tinySegments();
  const encoder = new WireEncoder();
  const sum = (sizes: number[]): number => sizes.reduce((total, size) => total + size, 0);
  const raw = sum(segments.map((segment) => segment.payload.length));
  const wire = sum(segments.map((segment) => encoder.encode(segment).length));
  const disk = sum(segments.map((segment) => encodeForDisk(segment).length));
  t.comment(`raw ${raw}, wire ${wire}, disk ${disk} bytes`);
  t.ok(wire < disk * 0.8, 'well below single frames');
  t.end();
});

t.test('on disk each segment stands by itself', (t) => {
  const segments = randomLog(seeded(t), 30);
  const stored = segments.map((segment) => ({ header: encodedHeader(segment), bytes: encodeForDisk(segment) }));
  for (const [index, { header, bytes }] of [...stored.entries()].reverse()) {
    t.same(decodeFromDisk(header, bytes), segments[index]);
  }
  t.end();
});

t.test('the final segment may be empty, and is no bytes', (t) => {
  const segment = sealSegment({ seq: 0, from: icount(9), payload: Buffer.alloc(0), final: true });
  const bytes = new WireEncoder().encode(segment);
  t.equal(bytes.length, 0);
  t.same(new WireDecoder().decode(encodedHeader(segment), bytes), segment);
  t.same(decodeFromDisk(encodedHeader(segment), encodeForDisk(segment)), segment);
  t.end();
});

t.test('what unpacks to more or less than its header says is refused, without unpacking it', (t) => {
  const bomb = compress(Buffer.alloc(100_000_000));
  const segment = sealSegment({ seq: 4, from: icount(0), payload: Buffer.from([1, 2, 1]) });
  const header = encodedHeader(segment);
  const before = process.memoryUsage().rss;
  t.match(
    refusal(() => new WireDecoder().decode(header, bomb)),
    { code: 'E_LOG_SEGMENT', facts: { seq: 4 } },
  );
  t.match(
    refusal(() => decodeFromDisk(header, bomb)),
    { code: 'E_LOG_SEGMENT', facts: { seq: 4 } },
  );
  t.ok(process.memoryUsage().rss - before < 50_000_000, 'no memory was taken for it');
  const longer: EncodedHeader = { ...header, payloadBytes: 4 };
  t.equal(refusal(() => new WireDecoder().decode(longer, new WireEncoder().encode(segment)))?.code, 'E_LOG_SEGMENT');
  t.equal(refusal(() => decodeFromDisk(longer, encodeForDisk(segment)))?.code, 'E_LOG_SEGMENT');
  const huge: EncodedHeader = { ...header, payloadBytes: 2 ** 31 };
  t.match(refusal(() => new WireDecoder().decode(huge, bomb))?.message, /larger than 16777216/);
  t.match(refusal(() => decodeFromDisk(huge, bomb))?.message, /larger than 16777216/);
  t.end();
});

t.test('a header that lies about its events, range or checksum is refused', (t) => {
  const segment = sealSegment({ seq: 0, from: icount(5), payload: Buffer.from('000000000301', 'hex') });
  const bytes = encodeForDisk(segment);
  const lies: Partial<EncodedHeader>[] = [
    { events: 3 },
    { to: icount(9) },
    { from: icount(6) },
    { checksum: segment.checksum ^ 1n },
    { encoding: 'raw' },
  ];
  for (const lie of lies) {
    const header = { ...encodedHeader(segment), ...lie };
    t.equal(refusal(() => decodeFromDisk(header, bytes))?.code, 'E_LOG_SEGMENT', Object.keys(lie).join());
  }
  t.end();
});

t.test('a wire decoder that has failed stays failed', (t) => {
  const [first, second] = randomLog(seeded(t), 2);
  const encoder = new WireEncoder();
  const decoder = new WireDecoder();
  const bytes = encoder.encode(first!);
  const error = refusal(() => decoder.decode(encodedHeader(first!), Buffer.concat([bytes, Buffer.from('junk')])));
  t.ok(error);
  t.equal(
    refusal(() => decoder.decode(encodedHeader(second!), encoder.encode(second!))),
    error,
  );
  t.end();
});

t.test('random and mutated bytes give a segment or one TrmigError', (t) => {
  const random = seeded(t);
  const [segment] = randomLog(random, 1, 60);
  const header = encodedHeader(segment!);
  const wire = new WireEncoder().encode(segment!);
  const disk = encodeForDisk(segment!);
  for (let round = 0; round < 1000; round++) {
    const noise = random.bytes(random.below(200));
    refusal(() => new WireDecoder().decode(header, round % 4 === 0 ? noise : mutate(random, wire)));
    refusal(() => decodeFromDisk(header, round % 4 === 0 ? noise : mutate(random, disk)));
  }
  t.same(decodeFromDisk(header, disk), segment, 'the decoder that all frames share still works');
  t.end();
});
