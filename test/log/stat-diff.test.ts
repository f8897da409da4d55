// What a log consists of, and where two logs part.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { decodeEvents } from '../../src/log/decoder.js';
import { diffLogs } from '../../src/log/diff.js';
import { EventCode } from '../../src/log/event-codes.js';
import { readQemuLog } from '../../src/log/qemu-log.js';
import { measureEvent, scanPayload, u32At } from '../../src/log/scan.js';
import { sealSegment, type Segment } from '../../src/log/segment.js';
import { statLog } from '../../src/log/stat.js';
import { icount } from '../../src/units.js';
import { each, randomLog, seeded, type Random } from './support.js';

t.test('a log is counted by kind, and its rates are over host time', async (t) => {
  const payload = Buffer.from('0000000064' + '1c0000000000000001' + '1c0000000000000002' + '01', 'hex');
  const first = sealSegment({ seq: 0, from: icount(0), payload, virtualNs: 1_000, hostNs: 5_000_000_000 });
  const second = sealSegment({ seq: 1, from: first.to, payload, virtualNs: 3_000, hostNs: 5_500_000_000, final: true });
  t.same(await statLog(each([first, second]), { virtualNs: 500, hostNs: 4_500_000_000 }), {
    segments: 2,
    events: 8,
    bytes: 48,
    instructions: 200,
    virtualNs: 2_500,
    hostNs: 1_000_000_000,
    bytesPerSecond: 48,
    eventsPerSecond: 8,
    instructionsPerSecond: 200,
    final: true,
    kinds: [
      { kind: 'clock-host', count: 4, bytes: 36 },
      { kind: 'instruction', count: 2, bytes: 10 },
      { kind: 'interrupt', count: 2, bytes: 2 },
    ],
  });
  const empty = await statLog(each([]));
  t.match(empty, { segments: 0, hostNs: 0, bytesPerSecond: null, kinds: [] });
});

t.test("the kinds of QEMU's own log add up to all of it", async (t) => {
  const { payload } = readQemuLog(readFileSync('fixtures/logs/v1/devices.qemu-log'));
  const stat = await statLog(each([sealSegment({ seq: 0, from: icount(0), payload })]));
  t.equal(
    stat.kinds.reduce((sum, kind) => sum + kind.bytes, 0),
    payload.length,
  );
  t.equal(stat.events, scanPayload(payload).events);
  t.match(
    stat.kinds.find(({ kind }) => kind === 'net'),
    { count: 2, bytes: 194 },
  );
  t.match(
    stat.kinds.find(({ kind }) => kind === 'checkpoint clock-host'),
    { count: 144 },
  );
});

/** The same log in other segments, some INSTRUCTION events cut in two. */
function recut(log: readonly Segment[], random: Random): Segment[] {
  const pieces: Buffer[] = [];
  for (const { payload } of log) {
    for (let at = 0; at < payload.length;) {
      const length = measureEvent(payload, at);
      const count = payload[at] === EventCode.instruction ? u32At(payload, at + 1) : 0;
      if (count > 1 && random.below(2) === 0) {
        const part = 1 + random.below(count - 1);
        for (const share of [part, count - part]) {
          const piece = Buffer.alloc(5);
          piece.writeUInt32BE(share, 1);
          pieces.push(piece);
        }
      } else {
        pieces.push(payload.subarray(at, at + length));
      }
      at += length;
    }
  }
  const segments: Segment[] = [];
  for (let from = icount(0), seq = 0; pieces.length > 0; seq++) {
    const payload = Buffer.concat(pieces.splice(0, 1 + random.below(30)));
    const segment = sealSegment({ seq, from, payload, final: pieces.length === 0 });
    segments.push(segment);
    from = segment.to;
  }
  return segments;
}

t.test('a log equals itself however it is cut into segments', async (t) => {
  const random = seeded(t);
  for (let round = 0; round < 20; round++) {
    const log = randomLog(random, 8);
    t.equal(await diffLogs(each(log), each(recut(log, random))), null);
  }
});

t.test('the first event that differs is found, with what came before it', async (t) => {
  const random = seeded(t);
  for (let round = 0; round < 40; round++) {
    const log = randomLog(random, 6);
    const other = recut(log, random);
    const candidates = other.flatMap((segment, index) =>
      [...decodeEvents(segment.payload, segment.from)]
        .filter((event) => event.kind === 'clock-host')
        .map((event) => ({ index, event })),
    );
    if (candidates.length === 0) continue;
    const { index, event } = random.pick(candidates);
    const old = other[index]!;
    const payload = Buffer.from(old.payload);
    payload[event.offset + 8]! ^= 1;
    other[index] = sealSegment({ ...old, payload });
    const found = await diffLogs(each(log), each(other));
    t.match(found, { icount: event.icount, a: { kind: 'clock-host' }, b: { kind: 'clock-host' } });
    const before = log.flatMap((segment) =>
      [...decodeEvents(segment.payload, segment.from)].filter((seen) => seen.kind !== 'instruction'),
    );
    t.match(before[found!.index], { kind: 'clock-host', icount: event.icount });
    t.same(found!.context, before.slice(Math.max(0, found!.index - 5), found!.index));
  }
});

const segment = (hex: string): Segment => sealSegment({ seq: 0, from: icount(0), payload: Buffer.from(hex, 'hex') });

t.test('the same event at another instruction is a difference', async (t) => {
  const found = await diffLogs(each([segment('0000000005' + '01')]), each([segment('0000000006' + '01')]));
  t.match(found, { index: 0, icount: 5, a: { kind: 'interrupt', icount: 5 }, b: { kind: 'interrupt', icount: 6 } });
});

t.test('a log that ends sooner differs where it ends', async (t) => {
  const found = await diffLogs(each([segment('01' + '02')]), each([segment('01')]));
  t.match(found, { index: 1, a: { kind: 'exception' }, b: null, context: [{ kind: 'interrupt' }] });
});

t.test('a log that only runs on for more instructions differs at its end', async (t) => {
  const found = await diffLogs(each([segment('01' + '0000000005')]), each([segment('01' + '0000000009')]));
  t.match(found, { index: 1, icount: 5, a: null, b: null });
});

t.test('both logs are let go of when the difference is found', async (t) => {
  let closed = 0;
  async function* log(payload: string): AsyncGenerator<Segment> {
    try {
      yield segment(payload);
      yield segment(payload);
    } finally {
      closed++;
    }
  }
  await diffLogs(log('01'), log('02'));
  t.equal(closed, 2);
});
