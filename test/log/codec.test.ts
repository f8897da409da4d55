// The encodings of a payload: what comes out is what went in, bounded and checked.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { compress } from 'zstd-napi';
import { decodeFromDisk, encodeForDisk, WireDecoder, WireEncoder, type EncodedHeader } from '../../src/log/codec.js';
import { readQemuLog } from '../../src/log/qemu-log.js';
import { sealSegment, type Segment } from '../../src/log/segment.js';
import { decodeEvents } from '../../src/log/decoder.js';
import { icount } from '../../src/units.js';
import { mutate, randomLog, refusal, seeded } from './support.js';

const peers = [{ columnar: true }, { columnar: false }];
const throughDisk = (segment: Segment): Segment => {
  const { header, bytes } = encodeForDisk(segment);
  return decodeFromDisk(header, bytes);
};

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
  for (const peer of peers) {
    const segments = randomLog(seeded(t), 60);
    const encoder = new WireEncoder(peer);
    const decoder = new WireDecoder();
    for (const segment of segments) {
      const { header, bytes } = encoder.encode(segment);
      t.same(decoder.decode(header, bytes), segment);
    }
  }
  t.end();
});

t.test('a payload that does not compress, of many megabytes, crosses too', (t) => {
  const noise = seeded(t).bytes(5_000_000);
  const payload = Buffer.concat([Buffer.from('17', 'hex'), Buffer.alloc(4), noise]);
  payload.writeUInt32BE(noise.length, 1);
  const segment = sealSegment({ seq: 0, from: icount(0), payload });
  for (const peer of peers) {
    const { header, bytes } = new WireEncoder(peer).encode(segment);
    t.ok(new WireDecoder().decode(header, bytes).payload.equals(payload));
  }
  t.ok(throughDisk(segment).payload.equals(payload));
  t.end();
});

t.test('tiny segments compress against their past on the wire, and only there', (t) => {
  const segments = tinySegments();
  const encoder = new WireEncoder({ columnar: true });
  const plain = new WireEncoder({ columnar: false });
  const sum = (sizes: number[]): number => sizes.reduce((total, size) => total + size, 0);
  const raw = sum(segments.map((segment) => segment.payload.length));
  const wire = sum(segments.map((segment) => encoder.encode(segment).bytes.length));
  const zstd = sum(segments.map((segment) => plain.encode(segment).bytes.length));
  const disk = sum(segments.map((segment) => encodeForDisk(segment).bytes.length));
  t.comment(`raw ${raw}, wire ${wire} (zstd ${zstd}), disk ${disk} bytes`);
  t.ok(wire < disk * 0.8, 'well below single segments');
  t.ok(wire < zstd * 0.7, 'headers and all, well below zstd');
  t.end();
});

t.test('on disk each segment stands by itself', (t) => {
  const segments = randomLog(seeded(t), 30);
  const stored = segments.map(encodeForDisk);
  for (const [index, { header, bytes }] of [...stored.entries()].reverse()) {
    t.same(decodeFromDisk(header, bytes), segments[index]);
  }
  t.end();
});

t.test('the final segment may be empty, and is no bytes', (t) => {
  const segment = sealSegment({ seq: 0, from: icount(9), payload: Buffer.alloc(0), final: true });
  for (const peer of peers) {
    const { header, bytes } = new WireEncoder(peer).encode(segment);
    t.equal(bytes.length, 0);
    t.same(new WireDecoder().decode(header, bytes), segment);
  }
  t.same(throughDisk(segment), segment);
  t.end();
});

t.test('what unpacks to more or less than its header says is refused, without unpacking it', (t) => {
  const bomb = compress(Buffer.alloc(100_000_000));
  const segment = sealSegment({ seq: 4, from: icount(0), payload: Buffer.from([1, 2, 1]) });
  const stored = encodeForDisk(segment);
  const header: EncodedHeader = { ...stored.header, encoding: 'zstd' };
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
  for (const payloadBytes of [2, 4]) {
    const other: EncodedHeader = { ...stored.header, payloadBytes };
    t.ok(refusal(() => new WireDecoder().decode(other, stored.bytes)));
    t.ok(refusal(() => decodeFromDisk(other, stored.bytes)));
  }
  for (const encoding of ['raw', 'zstd', 'columnar'] as const) {
    const huge: EncodedHeader = { ...header, encoding, payloadBytes: 2 ** 31 };
    t.match(refusal(() => new WireDecoder().decode(huge, bomb))?.message, /larger than 16777216/);
    t.match(refusal(() => decodeFromDisk(huge, bomb))?.message, /larger than 16777216/);
  }
  t.end();
});

t.test('a header that lies about its events, range or checksum is refused', (t) => {
  const segment = sealSegment({ seq: 0, from: icount(5), payload: Buffer.from('000000000301', 'hex') });
  const stored = encodeForDisk(segment);
  const lies: Partial<EncodedHeader>[] = [
    { events: 3 },
    { to: icount(9) },
    { from: icount(6) },
    { checksum: segment.checksum ^ 1n },
    { encoding: 'raw' },
  ];
  for (const lie of lies) {
    const header = { ...stored.header, ...lie };
    t.equal(refusal(() => decodeFromDisk(header, stored.bytes))?.code, 'E_LOG_SEGMENT', Object.keys(lie).join());
  }
  t.end();
});

t.test('a wire decoder that has failed stays failed', (t) => {
  const [first, second] = randomLog(seeded(t), 2);
  for (const peer of peers) {
    const encoder = new WireEncoder(peer);
    const decoder = new WireDecoder();
    const sent = encoder.encode(first!);
    const error = refusal(() => decoder.decode(sent.header, Buffer.concat([sent.bytes, Buffer.from('junk')])));
    t.ok(error);
    const next = encoder.encode(second!);
    t.equal(
      refusal(() => decoder.decode(next.header, next.bytes)),
      error,
    );
  }
  t.end();
});

t.test('random and mutated bytes give a segment or one TrmigError', (t) => {
  const random = seeded(t);
  const [segment] = randomLog(random, 1, 60);
  const disk = encodeForDisk(segment!);
  for (const peer of peers) {
    const wire = new WireEncoder(peer).encode(segment!);
    for (let round = 0; round < 500; round++) {
      const noise = random.bytes(random.below(200));
      refusal(() => new WireDecoder().decode(wire.header, round % 4 === 0 ? noise : mutate(random, wire.bytes)));
      refusal(() => decodeFromDisk(wire.header!, round % 4 === 0 ? noise : mutate(random, wire.bytes)));
      refusal(() => decodeFromDisk(disk.header, round % 4 === 0 ? noise : mutate(random, disk.bytes)));
    }
  }
  t.same(throughDisk(segment!), segment, 'the decoder that all segments share still works');
  t.end();
});
