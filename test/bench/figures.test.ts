// What the benchmark makes of what it sees: figures, console lines, QEMU's byte counts, tables.
import { appendFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { ConsoleText, ConsoleWatch, parseLine } from '../../bench/console.js';
import { figure } from '../../bench/figure.js';
import { RamAccount } from '../../bench/ram-account.js';
import { rowOf } from '../../bench/results.js';
import { markdown, rowsTable } from '../../bench/table.js';
import { outcome } from './outcomes.js';

t.test('a figure is the least, the middle and the most', async (t) => {
  t.same(figure([3, 1, 2]), { min: 1, median: 2, max: 3 });
  t.same(figure([4, 1, 2, 3]), { min: 1, median: 2.5, max: 4 });
  t.same(figure([7]), { min: 7, median: 7, max: 7 });
  t.same(figure([1, NaN, 3]), { min: 1, median: 2, max: 3 }, 'a window without a value does not count');
  t.equal(figure([]), null);
  t.equal(figure([0.123456789])!.median, 0.12346);
});

t.test("each workload's count of work is read from its lines", async (t) => {
  t.same(parseLine('hotset', 'count 7 sum=00ff writes=4096 verified=64'), { number: 7, work: 4096 });
  t.same(parseLine('compile', 'count 2 units=31 sum=ab'), { number: 2, work: 31 });
  t.same(parseLine('alu', 'count 1 ops=65536 acc=ab'), { number: 1, work: 65536 });
  t.same(parseLine('idle', 'tick 12'), { number: 12, work: 12 });
  t.same(parseLine('diskwriter', 'count 3 records=600 synced=576'), { number: 3, work: 600 });
  t.same(parseLine('echo', 'count 4 accepted=1 open=1 tcp=800 udp=90'), { number: 4, work: 800 });
  t.equal(parseLine('hotset', 'init: workload hotset on Linux 6.1'), null);
});

t.test('a console is followed while it grows, also over a line that comes in two pieces', async (t) => {
  const file = path.join(t.testdir(), 'console.log');
  const watch = new ConsoleWatch(file, 'alu');
  t.teardown(() => watch.close());
  writeFileSync(file, 'SeaBIOS\ncount 1 ops=100 acc=0\ncount 2 op');
  await watch.waitFor(1, 5_000);
  appendFileSync(file, 's=300 acc=0\n');
  await watch.waitFor(2, 5_000);
  t.same(
    watch.lines.map(({ number, work }) => ({ number, work })),
    [
      { number: 1, work: 100 },
      { number: 2, work: 300 },
    ],
  );
  const [first, last] = [watch.lines[0]!.atMs, watch.lines[1]!.atMs];
  t.equal(watch.rate(first, last), (200 * 1000) / (last - first));
  t.equal(watch.rate(last + 1, last + 2), null, 'no speed from a window without lines');
  await t.rejects(watch.waitFor(3, 50), /2 of 3 lines/);
});

t.test('beats are told from lines, wherever the bytes are cut', async (t) => {
  const bytes = Buffer.from('init: booted.\n\0\0count\0 1 ops=1.5\n\0\n\0\0cou');
  for (let cut = 0; cut <= bytes.length; cut++) {
    const text = new ConsoleText();
    const parts = [text.push(bytes.subarray(0, cut)), text.push(bytes.subarray(cut))];
    t.same(
      parts.flatMap(({ lines }) => lines),
      ['init: booted.', 'count 1 ops=1.5', ''],
    );
    t.equal(parts[0]!.beats + parts[1]!.beats, 6);
  }
});

t.test('when a beat came is noted, a moment after it was written', async (t) => {
  const file = path.join(t.testdir({ 'console.log': '' }), 'console.log');
  const watch = new ConsoleWatch(file, 'alu');
  t.teardown(() => watch.close());
  await new Promise((resolve) => setTimeout(resolve, 50));
  for (let beat = 1; beat <= 5; beat++) {
    const wroteMs = performance.now();
    appendFileSync(file, '\0');
    while (watch.beats.length < beat) await new Promise((resolve) => setTimeout(resolve, 1));
    t.ok(watch.beats.at(-1)! >= wroteMs && watch.beats.at(-1)! - wroteMs < 100);
  }
});

t.test('a unit of work that takes several lines is not rounded down', async (t) => {
  const file = path.join(t.testdir(), 'console.log');
  const watch = new ConsoleWatch(file, 'compile');
  t.teardown(() => watch.close());
  for (const [index, units] of [1, 1, 2, 2, 2, 3, 3].entries()) {
    appendFileSync(file, `count ${index + 1} units=${units} sum=0\n`);
    await watch.waitFor(index + 1, 5_000);
  }
  const at = watch.lines.map(({ atMs }) => atMs);
  t.equal(watch.rate(at[1]!, at[6]!), 1000 / (at[5]! - at[2]!), 'from where 2 is first seen to where 3 is');
});

t.test('a guest that finds its data wrong fails the measurement', async (t) => {
  const file = path.join(t.testdir({ 'console.log': 'count 1 ops=1 acc=0\nCORRUPT word at 12\n' }), 'console.log');
  const watch = new ConsoleWatch(file, 'alu');
  t.teardown(() => watch.close());
  await t.rejects(watch.waitFor(2, 5_000), /CORRUPT word at 12/);
  t.throws(() => watch.rate(0, 1e9), /CORRUPT/);
});

t.test("QEMU's bytes after its first pass are counted from the pass's end", async (t) => {
  const account = new RamAccount(0);
  account.poll(10, 1000);
  account.firstPassEnded(15);
  account.poll(20, 2000);
  account.firstPassEnded(25);
  account.poll(30, 5000);
  t.equal(account.afterFirstPass(), 3500, 'half way between the polls around it');
  const never = new RamAccount(0);
  never.poll(10, 1000);
  t.equal(never.afterFirstPass(), 0);
});

t.test('tables are Markdown with aligned columns', async (t) => {
  t.equal(markdown(['a', 'bb'], [['ccc', 'd']]), '| a   | bb |\n| --- | -: |\n| ccc |  d |');
  const stuck = outcome({
    converged: false,
    downtimeMs: null,
    toolDowntimeMs: null,
    bytes: 2.3e9,
    bytesAfterBase: 2.2e9,
  });
  const row = rowOf({ workload: 'hotset', link: '1gbit', tool: 'qemu', mode: 'precopy' }, '256M', [stuck]);
  t.match(
    rowsTable([row]),
    /\| 64 MB hot set +\| 1gbit \| +qemu precopy \| +0\/1 \| +- \| +- \| +9 \| +- \| +2300\.0 \| +2200\.0 \| +5\.0 % \|/,
    'a move that did not arrive has neither downtime nor total time',
  );
});
