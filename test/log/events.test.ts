// Events: what QEMU wrote is what is decoded, and nothing else gets through.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import t from 'tap';
import { decodeEvents, decodeSegments } from '../../src/log/decoder.js';
import type { LogEvent } from '../../src/log/event.js';
import { eventNames } from '../../src/log/event-codes.js';
import { formatEvent } from '../../src/log/format-event.js';
import { readQemuLog, writeQemuLog } from '../../src/log/qemu-log.js';
import { measureEvent, scanPayload } from '../../src/log/scan.js';
import { sealSegment } from '../../src/log/segment.js';
import { scanEvents } from '../../src/native/index.js';
import { icount } from '../../src/units.js';
import { collect, each, mutate, randomPayload, refusal, seeded } from './support.js';

const golden = 'fixtures/logs/v1';

const plain = (_: string, value: unknown): unknown => {
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'object' && value !== null && 'type' in value && value.type === 'Buffer' && 'data' in value) {
    return Buffer.from(value.data as number[]).toString('hex');
  }
  return value;
};
const jsonl = (events: Iterable<LogEvent>): string =>
  [...events].map((event) => `${JSON.stringify(event, plain)}\n`).join('');

t.test('each kind of event decodes field by field as version 1 wrote it down', (t) => {
  const payload = readFileSync(`${golden}/every-event.payload`);
  t.equal(jsonl(decodeEvents(payload, icount(0))), readFileSync(`${golden}/every-event.jsonl`, 'utf8'));
  const missing = eventNames.filter((name, code) => name !== null && scanPayload(payload).counts[code] === 0);
  t.same(missing, [], 'the golden payload has every kind');
  t.end();
});

const goldenLogs = JSON.parse(readFileSync(`${golden}/expected.json`, 'utf8')) as Record<
  'seabios' | 'devices',
  { events: number; instructions: number; jsonlSha256: string }
>;
for (const name of ['seabios', 'devices'] as const) {
  t.test(`the log that QEMU 10.0.2 wrote (${name}) decodes to its end`, (t) => {
    const expected = goldenLogs[name];
    const file = readFileSync(`${golden}/${name}.qemu-log`);
    const { payload, ended } = readQemuLog(file);
    const events = [...decodeEvents(payload, icount(0))];
    t.ok(ended);
    t.equal(events.length, expected.events);
    t.equal(scanPayload(payload).instructions, expected.instructions);
    t.equal(createHash('sha256').update(jsonl(events)).digest('hex'), expected.jsonlSha256);
    t.ok(writeQemuLog(payload).equals(file), 'and is written back as it was');
    t.end();
  });
}

t.test('positions count the instructions before an event, whatever segment it is in', async (t) => {
  const first = sealSegment({ seq: 0, from: icount(0), payload: Buffer.from('0000000007' + '01', 'hex') });
  const second = sealSegment({ seq: 1, from: first.to, payload: Buffer.from('0000000003' + '02' + '1e', 'hex') });
  const events = await collect(decodeSegments(each([first, second])));
  t.same(
    events.map(({ segment, event }) => [segment.seq, event.kind, event.icount, event.offset]),
    [
      [0, 'instruction', 0, 0],
      [0, 'interrupt', 7, 5],
      [1, 'instruction', 7, 0],
      [1, 'exception', 10, 5],
      [1, 'checkpoint', 10, 6],
    ],
  );
  await t.rejects(collect(decodeSegments(each([second, first]))), { code: 'E_LOG_SEGMENT' });
});

t.test('payload arrays are views, not copies', (t) => {
  const payload = Buffer.from('17' + '00000003' + 'aabbcc', 'hex');
  const [event] = decodeEvents(payload, icount(0));
  payload[5] = 0x11;
  t.same(event?.kind === 'char-read-all' && [...event.data], [0x11, 0xbb, 0xcc]);
  t.end();
});

t.test('each kind is shown on one line', (t) => {
  const payload = readFileSync(`${golden}/every-event.payload`);
  const lines = [...decodeEvents(payload, icount(0))].map(formatEvent);
  t.notOk(lines.find((line) => line.includes('\n') || line.includes('undefined')));
  t.equal(lines[0], '             0  instruction count=1000');
  t.equal(lines.at(-12), '    2147484647  random result=0 bytes=4 data=01020304');
  t.equal(lines[9], '          1000  input absolute y=32767');
  const long = [...decodeEvents(Buffer.concat([Buffer.from('17000003e8', 'hex'), Buffer.alloc(1000)]), icount(0))];
  t.match(formatEvent(long[0]!), /bytes=1000 data=(00){32}…$/);
  t.end();
});

const refused: readonly (readonly [string, string, number, RegExp])[] = [
  ['the code 21, which QEMU never writes', '15', 0, /21 is not the code/],
  ['END, which is not part of a payload', '01' + '27', 1, /39 is not the code/],
  ['a code beyond the last', 'ff', 0, /255 is not the code/],
  ['an event of no instructions', '0000000000', 0, /0 instructions/],
  ['an event of too many instructions', '0080000000', 0, /2147483648 instructions/],
  ['an event that the payload cuts', '01' + '1c00', 1, /end inside a "clock-host"/],
  ['an array longer than the payload', '17' + 'ffffffff' + '00', 0, /end inside a "char-read-all"/],
  ['a packet cut inside its length', '09' + '00' + '00000000' + '0000', 0, /end inside a "net"/],
  ['an input event of an unknown kind', '05' + '00000005', 0, /unknown kind 5/],
  ['a key of an unknown kind', '05' + '00000000' + '00000002', 0, /unknown key kind 2/],
  ['a key cut before its kind', '05' + '00000000' + '00', 0, /end inside a "input"/],
  ['a sound of too many samples', '1a' + '0000000000200000' + '0000000000000000', 0, /too many samples/],
];

for (const [what, hex, offset, message] of refused) {
  t.test(`${what} is refused, with its offset`, (t) => {
    const payload = Buffer.from(hex, 'hex');
    for (const read of [scanPayload, (bytes: Uint8Array) => [...decodeEvents(bytes, icount(0))]]) {
      t.match(
        refusal(() => read(payload)),
        { code: 'E_LOG_EVENT', message, facts: { offset } },
      );
    }
    t.end();
  });
}

t.test('a stock log of another version, or with bytes after its END, is refused', (t) => {
  const file = writeQemuLog(Buffer.from([1]));
  t.equal(refusal(() => readQemuLog(Buffer.concat([file, Buffer.from([1])])))?.code, 'E_LOG_EVENT');
  file.writeUInt32BE(0xe0200d);
  t.match(refusal(() => readQemuLog(file))?.message, /its version is 0xe0200d/);
  t.equal(refusal(() => readQemuLog(Buffer.alloc(5)))?.code, 'E_LOG_EVENT');
  t.end();
});

t.test('the log of a QEMU that was killed has neither version nor END, and is read', (t) => {
  t.same(readQemuLog(Buffer.concat([Buffer.alloc(12), Buffer.from([1, 2])])), {
    payload: Buffer.from([1, 2]),
    ended: false,
  });
  t.end();
});

t.test('this scanner and the native one agree on true and on damaged payloads', (t) => {
  const random = seeded(t);
  for (let round = 0; round < 400; round++) {
    const honest = randomPayload(random, random.below(30));
    const payload = round % 2 === 0 ? honest : mutate(random, honest);
    const native = scanEvents(payload);
    let [at, events] = [0, 0];
    const fault = refusal(() => {
      for (; at < payload.length; events++) at += measureEvent(payload, at);
    });
    const ends = native.counts[39]!; // END is an event to the native scanner, which sees whole streams
    if (ends > 0) continue;
    t.equal(native.events, events, `events, round ${round}`);
    t.equal(native.bytes, at, `whole events' bytes, round ${round}`);
    t.equal(fault === null, native.error === null && native.bytes === payload.length, `verdict, round ${round}`);
  }
  t.end();
});
