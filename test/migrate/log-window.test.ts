import t from 'tap';
import { logWindowBytesMax } from '../../src/limits.js';
import { EventCode, sealSegment, type Segment } from '../../src/log/index.js';
import { LogWindow, divergenceOf } from '../../src/migrate/log-window.js';
import { icount } from '../../src/units.js';

const instructions = (count: number): Buffer => {
  const bytes = Buffer.alloc(5);
  bytes.writeUInt32BE(count, 1);
  return bytes;
};
const interrupt = Buffer.of(EventCode.interrupt);
const clock = Buffer.concat([Buffer.of(EventCode.clockHost), Buffer.alloc(8)]);

/** A segment of 100 instructions with an event after the 40th and one at its end. */
const segment = (seq: number, options: { canary?: boolean; first?: Buffer } = {}): Segment => {
  const { canary = true, first = clock } = options;
  const payload = Buffer.concat([instructions(40), first, instructions(60), interrupt]);
  return sealSegment({ seq, from: icount(seq * 100), payload, canary: canary ? 7n : null });
};

const found = (seq: number): Parameters<LogWindow['differs']>[0] => ({
  seq,
  icount: icount((seq + 1) * 100),
  expected: '07',
  actual: '08',
});

t.test('a wrong canary is named with the first event since the registers agreed', async (t) => {
  const window = new LogWindow();
  for (const seq of [0, 1, 2]) window.take(segment(seq));
  window.played(1);
  const error = window.differs(found(2));
  t.match(error, { code: 'E_DIVERGED', message: /instruction 300.*agreed at instruction 200.*clock-host at 240/ });
  t.same(divergenceOf(error), { icount: 300, event: 'clock-host' });
});

t.test('segments without a canary show nothing: the registers agreed before them', async (t) => {
  const window = new LogWindow();
  window.take(segment(0));
  window.take(segment(1, { canary: false, first: Buffer.of(EventCode.checkpoint) }));
  window.take(segment(2));
  window.played(1);
  const error = window.differs(found(2));
  t.match(
    error.message,
    /agreed at instruction 100; the first of the 3 events since is checkpoint clock-warp-start at 140/,
  );
});

t.test('a replay that stands still is named with what the log has next', async (t) => {
  const window = new LogWindow();
  for (const seq of [0, 1]) window.take(segment(seq));
  window.played(0);
  const before = window.stands({ icount: icount(120), left: 20, event: EventCode.instruction });
  t.match(
    before.message,
    /stands still at instruction 120, 20 instructions before the log's next event \(clock-host\)/,
  );
  const at = window.stands({ icount: icount(200), left: 0, event: EventCode.interrupt });
  t.same(divergenceOf(at), { icount: 200, event: 'interrupt' });
});

t.test('what QEMU says when it ends over the log is quoted', async (t) => {
  const window = new LogWindow();
  const said =
    'Missing character write event in the replay log (insn total 4711/12 left, event 99 is EVENT_CLOCK_HOST)';
  const error = window.complained(['qemu-system-x86_64: something else', `qemu-system-x86_64: ${said}`]);
  t.match(error, { code: 'E_DIVERGED', facts: { icount: 4711, event: 'EVENT_CLOCK_HOST' } });
  t.match(error?.message, said.slice(0, 40));
  t.equal(window.complained(['Killed']), null);
});

t.test('what waits, and what may be forgotten', async (t) => {
  const window = new LogWindow();
  t.equal(window.waits, false);
  window.take(segment(0));
  t.equal(window.waits, true);
  window.played(0);
  t.equal(window.waits, false);
  const long = Buffer.concat(Array.from({ length: 1 << 20 }, () => interrupt));
  for (let seq = 1; seq <= logWindowBytesMax / long.length + 1; seq++) {
    window.take({ ...segment(seq), payload: long });
  }
  t.match(window.differs(found(20)), { facts: { event: '' } }, 'then no event is named');
});

t.test('an error that says nothing of a place names none', async (t) => {
  t.equal(divergenceOf(null), null);
});
