// Whole migrations: a real Linux guest moves from one host to another and back, and nobody inside notices.
// TRMIG_ROUNDS says how often each workload goes there and back (2), TRMIG_DOWNTIME_MS what downtime is asked for: a host
// that is busy with other things may not have it, and then the machine is moved all the same.
import { statSync } from 'node:fs';
import t from 'tap';
import type { Test } from 'tap';
import { Machine, type Architecture, type Home } from '../../src/machine/index.js';
import { readJournal } from '../../src/migrate/journal.js';
import { migrate } from '../../src/migrate/migrate.js';
import type { MigrationReport } from '../../src/migrate/report.js';
import { standingOf } from '../../src/migrate/standing.js';
import { Transcript, counters, discontinuity, waitForLines } from './console.js';
import { boot, generously, leftOn, receiver, stage, until, type TestReceiver, type Workload } from './stage.js';

t.setTimeout(generously.timeout * 3);
const rounds = Number(process.env['TRMIG_ROUNDS'] ?? 2);
const policy = {
  maxDowntimeMs: Number(process.env['TRMIG_DOWNTIME_MS'] ?? 100),
  timeoutMs: 60_000,
  onTimeout: 'switch',
  maxPace: 0.95,
} as const;

function describe({
  downtimeMs,
  downtime,
  predictedDowntimeMs,
  totalMs,
  bytes,
  pacing,
  pauses,
}: MigrationReport): string {
  const terms = Object.entries(downtime ?? {}).map(([term, ms]) => `${term} ${(ms as number).toFixed(2)}`);
  const worst = pauses.reduce((most, { ms }) => Math.max(most, ms), 0);
  return (
    `downtime ${downtimeMs?.toFixed(2)} ms (${terms.join(', ')}), predicted ${predictedDowntimeMs?.toFixed(2)}; ` +
    `total ${totalMs.toFixed(0)} ms, base ${bytes.base} bytes, after it ${bytes.afterBase}; ` +
    `paced ${pacing.max.toFixed(2)} at most; longest earlier pause ${worst.toFixed(2)} ms`
  );
}

const middle = (values: readonly number[]): number => [...values].sort((x, y) => x - y)[values.length >> 1] ?? NaN;

/** Moves it from home to home and checks everything that a migration promises. */
async function move(t: Test, from: Home, to: Home, listening: TestReceiver, transcript: Transcript): Promise<number> {
  const machine = await Machine.open('m', { home: from });
  t.teardown(() => machine.close());
  const arrivals = listening.results.length;
  const at = statSync(to.machine('m').consoleLog, { throwIfNoEntry: false })?.size ?? 0;
  const result = await migrate(machine, { host: '127.0.0.1', port: listening.port, verify: true, policy });
  transcript.arrives(to, at);
  const { report } = result;
  t.comment(describe(report));
  t.equal(result.error, null);
  t.equal(result.phase.at, 'retired');
  t.match(report, { outcome: 'completed', owner: 'destination' });
  t.same(report.digests, { ram: 'equal', disks: 'skipped', devices: 'equal', registers: 'equal' });

  t.equal(await machine.isAlive(), false, "the source's QEMU is gone");
  t.same(leftOn(from), [], 'and nothing of it is left');
  await until('the receiver says how it went', () => listening.results.length > arrivals);
  t.match(listening.results.at(-1), { machine: 'm', phase: { at: 'live' }, error: null });

  await waitForLines(to.machine('m').consoleLog, 3);
  const lost = discontinuity(transcript.text);
  t.equal(lost, null, `the guest's counter goes on, ${counters(transcript.text).length} lines by now`);
  const there = await standingOf('m', { home: to });
  t.match(there, { state: 'running', qemu: 'running', tracer: { mode: 'dormant', running: true, owned: true } });
  t.match(there.ownership, { owner: 'here', last: { role: 'destination', state: 'live' }, advice: null, error: null });
  const here = await standingOf('m', { home: from });
  t.match(here, { state: 'stopped', ownership: { owner: 'there', last: { role: 'source', state: 'retired' } } });
  return report.downtimeMs ?? NaN;
}

const guests: [Architecture, Workload][] = [
  ['x86_64', 'idle'],
  ['x86_64', 'hotset'],
  ['x86_64', 'compile'],
  ['aarch64', 'idle'],
  ['aarch64', 'hotset'],
];
for (const [arch, workload] of guests) {
  t.test(`an ${arch} guest that runs ${workload} moves to another host and back`, generously, async (t) => {
    const { a, b } = stage(t);
    const receivers = { a: await receiver(t, a), b: await receiver(t, b) };
    const downtimesMs: number[] = [];
    const transcript = new Transcript();
    transcript.arrives(a);
    (await boot(a, { arch, workload })).close();
    for (let round = 1; round <= rounds; round++) {
      await t.test(`round ${round}, there`, async (t) => {
        downtimesMs.push(await move(t, a, b, receivers.b, transcript));
      });
      await t.test(`round ${round}, back`, async (t) => {
        downtimesMs.push(await move(t, b, a, receivers.a, transcript));
      });
    }
    t.comment(
      `median downtime of ${workload}, ${arch}: ${middle(downtimesMs).toFixed(2)} ms of ${downtimesMs.length} migrations`,
    );
    const { records } = await readJournal(a.machine('m').ownership);
    t.equal(records.length, rounds * 7, 'four records of leaving and three of arriving each round');
    const epochs = records.map(({ epoch }) => epoch);
    t.same(
      epochs,
      [...epochs].sort((x, y) => x - y),
      'epochs only grow',
    );
  });
}
