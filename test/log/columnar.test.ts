// The columnar encoding by itself: the coder, the clocks, the fall-back, the headers that a link leaves out, and that it
// still reads what it wrote once.
import { readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { alone, decodeColumnar, encodeColumnar } from '../../src/log/columnar.js';
import { decodeFromDisk, encodeForDisk, WireDecoder, WireEncoder } from '../../src/log/codec.js';
import { EventModel } from '../../src/log/event-model.js';
import { prime } from '../../src/log/primer.js';
import { readQemuLog } from '../../src/log/qemu-log.js';
import { BitReader, BitWriter, newSlots } from '../../src/log/range-coder.js';
import { RecordingReader } from '../../src/log/recording-reader.js';
import { SegmentLine } from '../../src/log/segment-line.js';
import { sealSegment, type Segment } from '../../src/log/segment.js';
import { frames } from '../../src/log/zstd.js';
import { icount } from '../../src/units.js';
import { collect, mutate, randomLog, randomPayload, refusal, seeded, type Random } from './support.js';

const u64 = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return bytes;
};
const clock = (code: 28 | 29, ns: bigint): Buffer => Buffer.concat([Buffer.from([code]), u64(ns)]);
const bottomHalf = (id: bigint): Buffer => Buffer.concat([Buffer.from([3]), u64(id)]);
const block = (id: bigint): Buffer => Buffer.concat([Buffer.from([8]), u64(id)]);
const instructions = (count: number): Buffer => {
  const bytes = Buffer.alloc(5);
  bytes.writeUInt32BE(count, 1);
  return bytes;
};

/** Encodes and decodes with models of the same past; returns the number of bytes that it took. */
function throughModels(t: Test, payloads: readonly Buffer[], message: string): number[] {
  const [there, here] = [prime(new EventModel()), prime(new EventModel())];
  let from = 0;
  return payloads.map((payload, index) => {
    const place = alone({ payloadBytes: payload.length, from });
    const bytes = encodeColumnar(there, frames, payload, place);
    t.ok(decodeColumnar(here, frames, bytes, place).equals(payload), `${message} ${index}`);
    from += 1000;
    return bytes.length;
  });
}

t.test('decisions come out as they went in, whatever they are and however they end', (t) => {
  const random = seeded(t);
  for (let round = 0; round < 300; round++) {
    const slots = [newSlots(8), newSlots(8)] as const;
    const skew = 1 + random.below(40);
    const decisions = Array.from({ length: random.below(400) }, () => ({
      slot: random.below(8),
      bit: random.below(skew) === 0 ? 1 : 0,
      raw: random.u32(),
      count: random.below(6) === 0 ? random.below(33) : 0,
    }));
    const writer = new BitWriter();
    for (const { slot, bit, raw, count } of decisions) {
      writer.bit(slots[0], slot, bit);
      if (count > 0) writer.raw(count === 32 ? raw : raw % 2 ** count, count);
    }
    const whole = round % 2 === 0;
    const bytes = writer.finish(whole);
    const reader = new BitReader(whole ? Buffer.concat([bytes, Buffer.from('and more')]) : bytes);
    for (const { slot, bit, raw, count } of decisions) {
      if (reader.bit(slots[1], slot) !== bit) t.fail('a decision differs');
      const expected = count === 32 ? raw : raw % 2 ** count;
      if (count > 0 && reader.raw(0, count) !== expected) t.fail('a number differs');
    }
    t.same(slots[0], slots[1]);
    if (whole) t.equal(reader.wholeBytes, bytes.length);
    else t.ok(reader.isAtEnd);
  }
  t.end();
});

t.test('random events of all kinds come back, byte for byte, from models that learn as they go', (t) => {
  const random = seeded(t);
  const payloads = Array.from({ length: 60 }, () => randomPayload(random, random.below(120)));
  throughModels(t, payloads, 'payload');
  t.end();
});

/** Clocks as no host shows them: each event random, or a step from the one before. */
function wildClocks(random: Random): Buffer {
  const far = (): bigint => BigInt.asIntN(64, (BigInt(random.u32()) << 32n) | BigInt(random.u32()));
  let [host, virtual] = [1_763_729_674_000_000_000n, 5_000_000_000n];
  return Buffer.concat(
    Array.from({ length: 200 }, () => {
      const step = BigInt(random.pick([0, 1, 999, 1000, 2_000_000, -1, -1000, -5_000_000, 7_200_000_000_000]));
      switch (random.below(12)) {
        case 0:
          return clock(random.pick([28, 29]), far());
        case 1:
          return clock(random.pick([28, 29]), far() >> BigInt(random.below(64)));
        case 2:
          return instructions(1 + random.below(0x7fffffff));
        case 3:
        case 4:
        case 5:
          return clock(28, (host += step));
        default:
          return clock(29, (virtual += step));
      }
    }),
  );
}

t.test('clocks may jump, be set back, be negative or not be microseconds', (t) => {
  const random = seeded(t);
  throughModels(
    t,
    Array.from({ length: 40 }, () => wildClocks(random)),
    'clocks',
  );
  t.end();
});

t.test('identifiers may be any numbers', (t) => {
  const ids = [0n, 1n, 5n, 4n, 2n ** 52n - 1n, 2n ** 52n, 2n ** 53n + 1n, -1n, -(2n ** 63n), 2n ** 63n - 1n, 7n];
  throughModels(t, [Buffer.concat(ids.flatMap((id) => [bottomHalf(id), block(id), instructions(5)]))], 'identifiers');
  t.end();
});

t.test('what repeats costs a fraction of a byte an event', (t) => {
  let [host, virtual] = [1_763_729_674_000_000_000n, 5_000_000_000n];
  const round = (): Buffer => {
    host += 4_000_000n;
    virtual += 4_000_000n;
    return Buffer.concat([
      instructions(542),
      Buffer.from([31, 34]),
      clock(28, host),
      clock(29, virtual),
      Buffer.from([1]),
    ]);
  };
  const payloads = Array.from({ length: 40 }, () => Buffer.concat(Array.from({ length: 10 }, round)));
  const sizes = throughModels(t, payloads, 'round');
  t.comment(`${sizes.at(-1)} bytes for 60 events of ${payloads[0]!.length} bytes`);
  t.ok(sizes.at(-1)! < 40);
  t.end();
});

t.test('an encoder that is given no events falls back to zstd, and stays there', (t) => {
  const [first, second] = randomLog(seeded(t), 2);
  const bad: Segment = { ...first!, payload: Buffer.from([31, 31, 39, 255]) };
  const encoder = new WireEncoder({ columnar: true });
  t.match(encoder.encode(bad).header, { encoding: 'zstd' });
  t.match(encoder.encode(sealSegment({ ...second!, payload: Buffer.from([31, 31]) })).header, { encoding: 'zstd' });
  t.match(encodeForDisk(bad).header, { encoding: 'zstd' });
  t.end();
});

t.test(
  'a payload that would be too few bytes falls back to zstd, with the long data of the next ones unharmed',
  (t) => {
    const packet = (bytes: Buffer): Buffer => Buffer.concat([Buffer.from([23, 0, 0, 4, 0]), bytes]);
    // A guest that spins, and gets a packet now and then.
    const storm = Buffer.concat(Array.from({ length: 100_000 }, () => instructions(1)));
    const random = seeded(t);
    const bytes = random.bytes(1024);
    const payloads = [packet(bytes), Buffer.concat([storm, packet(random.bytes(1024))]), packet(bytes)];
    const encoder = new WireEncoder({ columnar: true });
    const decoder = new WireDecoder();
    let from = icount(0);
    payloads.forEach((payload, seq) => {
      const segment = sealSegment({ seq, from, payload });
      const { header, bytes } = encoder.encode(segment);
      if (seq > 0) t.match(header, { encoding: 'zstd' });
      t.ok(decoder.decode(header, bytes).payload.equals(payload), `payload ${seq}`);
      from = segment.to;
    });
    t.end();
  },
);

t.test('a peer that reads plain zstd is sent nothing else', (t) => {
  const encoder = new WireEncoder({ columnar: false });
  for (const segment of randomLog(seeded(t), 20)) {
    t.match(encoder.encode(segment).header, { encoding: segment.payload.length === 0 ? 'raw' : 'zstd' });
  }
  t.end();
});

t.test('a header is left out when it follows from the one before, and never of the final segment', (t) => {
  const log = randomLog(seeded(t), 40).filter(({ payload }) => payload.length > 0);
  const encoder = new WireEncoder({ columnar: true });
  const decoder = new WireDecoder();
  for (const [index, segment] of log.entries()) {
    const { header, bytes } = encoder.encode(segment);
    const follows = index > 0 && segment.seq === log[index - 1]!.seq + 1 && !segment.final;
    t.equal(header === null, follows, `segment ${segment.seq}`);
    t.same(decoder.decode(header, bytes), segment);
  }
  t.end();
});

t.test('a segment without a header is refused where none can follow', (t) => {
  const [first, second, third] = randomLog(seeded(t), 3).map((segment) => ({ ...segment, final: false }));
  const payload = Buffer.from([31, 31]);
  const seal = (segment: Segment): Segment => sealSegment({ ...segment, from: icount(0), payload });
  const encoder = new WireEncoder({ columnar: true });
  const [one, two] = [encoder.encode(seal(first!)), encoder.encode(seal(second!))];
  t.equal(two.header, null);
  t.match(
    refusal(() => new WireDecoder().decode(null, two.bytes)),
    { code: 'E_LOG_SEGMENT', message: /no segment came before it/ },
  );
  const ended = new WireDecoder();
  ended.decode({ ...one.header!, final: true }, one.bytes);
  t.match(
    refusal(() => ended.decode(null, two.bytes)),
    { code: 'E_LOG_SEGMENT', message: /follows the final segment/ },
  );
  const lossy = new WireDecoder();
  lossy.decode(one.header, one.bytes);
  t.ok(
    refusal(() => lossy.decode(null, encoder.encode(seal(third!)).bytes)),
    'one that was skipped is missed',
  );
  t.end();
});

t.test('hostile bytes give a segment or one TrmigError', (t) => {
  const random = seeded(t);
  const log = randomLog(random, 8, 30).filter(({ payload }) => payload.length > 0);
  for (let round = 0; round < 250; round++) {
    const encoder = new WireEncoder({ columnar: true });
    const decoder = new WireDecoder();
    const honest = random.below(log.length - 1);
    for (const segment of log.slice(0, honest + 1)) {
      const { header, bytes } = encoder.encode(segment);
      decoder.decode(header, bytes);
    }
    const { header, bytes } = encoder.encode(log[honest + 1]!);
    const hostile = random.below(3) === 0 ? random.bytes(random.below(60)) : mutate(random, bytes);
    refusal(() => decoder.decode(header, hostile));
    refusal(() => decodeFromDisk({ ...log[0]!, encoding: 'columnar', payloadBytes: random.below(500) }, hostile));
  }
  t.end();
});

t.test('a segment without a header that promises too much is refused before anything is reserved', (t) => {
  const first = sealSegment({ seq: 0, from: icount(0), payload: Buffer.from([31, 31]) });
  for (const payloadBytes of [16 * 1024 * 1024 + 1, 2 ** 40]) {
    const decoder = new WireDecoder();
    const { header, bytes } = new WireEncoder({ columnar: true }).encode(first);
    decoder.decode(header, bytes);
    const writer = new BitWriter();
    new SegmentLine().head(writer, { payloadBytes, canary: null, check: 0 });
    t.match(
      refusal(() => decoder.decode(null, writer.finish(false))),
      { code: 'E_LOG_SEGMENT', message: /larger than 16777216/ },
    );
  }
  t.end();
});

t.test('an event that is longer than its payload is refused, without room for it', (t) => {
  const long = Buffer.alloc(3_000_000, 7);
  long[0] = 23;
  long.writeUInt32BE(long.length - 5, 1);
  const bytes = encodeColumnar(prime(new EventModel()), frames, long, alone({ payloadBytes: long.length, from: 0 }));
  const shorter = alone({ payloadBytes: 100, from: 0 });
  t.throws(() => decodeColumnar(prime(new EventModel()), frames, bytes, shorter), { message: /beyond the payload/ });
  t.end();
});

t.test('what was written once is read for ever', async (t) => {
  const golden = 'fixtures/logs/columnar';
  const { payload } = readQemuLog(readFileSync('fixtures/logs/v1/devices.qemu-log'));
  const segments = await collect((await RecordingReader.open(`${golden}/recording`)).segments());
  t.ok(Buffer.concat(segments.map((segment) => segment.payload)).equals(payload), 'from a recording');
  const decoder = new WireDecoder();
  const lines = readFileSync(`${golden}/wire.txt`, 'utf8').trim().split('\n');
  const crossed = lines.map((line, index) => {
    const { seq, from, to, events, checksum, payloadBytes, hex } = JSON.parse(line) as Record<string, string>;
    const bytes = Buffer.from(hex!, 'hex');
    if (index > 0) return decoder.decode(null, bytes);
    const range = { seq: Number(seq), from: icount(Number(from)), to: icount(Number(to)), events: Number(events) };
    const rest = { canary: null, final: false, virtualNs: 0, hostNs: 0, checksum: BigInt(checksum!) };
    return decoder.decode({ ...range, ...rest, encoding: 'columnar', payloadBytes: Number(payloadBytes) }, bytes);
  });
  t.ok(Buffer.concat(crossed.map((segment) => segment.payload)).equals(payload), 'from a link');
  const everyEvent = readFileSync('fixtures/logs/v1/every-event.payload');
  const bytes = readFileSync(`${golden}/every-event.columnar`);
  const place = alone({ payloadBytes: everyEvent.length, from: 0 });
  t.ok(decodeColumnar(prime(new EventModel()), frames, bytes, place).equals(everyEvent), 'each kind of event');
  t.end();
});
