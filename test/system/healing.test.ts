// Replays that go astray, because something writes to the memory of the guest that replays: they are named and healed before
// anything is handed over, or the migration ends as it was told to.
import { closeSync, openSync, writeSync } from 'node:fs';
import t from 'tap';
import type { Test } from 'tap';
import { Machine, type Home, type TracerHello } from '../../src/machine/index.js';
import { migrate, type MigrateOptions } from '../../src/migrate/migrate.js';
import type { SourceResult } from '../../src/migrate/source.js';
import { Transcript, discontinuity, waitForLines } from './console.js';
import { boot, generously, leftOn, receiver, stage, until, type Stage, type TestReceiver } from './stage.js';

t.setTimeout(generously.timeout);
const policy = { maxDowntimeMs: 500, timeoutMs: 120_000, onTimeout: 'switch', maxPace: 0.95 } as const;

/** A receiver whose first `times` replays begin with other memory than was sent. */
async function spoiling(t: Test, home: Home, times: number): Promise<TestReceiver> {
  let [left, target] = [times, null as TracerHello | null];
  const phases: string[] = [];
  const taking = await receiver(t, home, {
    onPhase: ({ at }) => {
      phases.push(at);
      if (at === 'restoring') void look().then((hello) => (target = hello));
      if (at !== 'replaying' || left === 0) return;
      left--;
      if (target === null) throw new Error('its QEMU did not say where its memory is');
      scribble(target);
    },
  });
  const look = async (): Promise<TracerHello> => {
    const machine = await Machine.open('m', { home });
    return machine.tracer.hello().finally(() => machine.close());
  };
  return { ...taking, phases: phases as TestReceiver['phases'] };
}

/** Changes every page a little, at once. */
function scribble({ pid, blocks }: TracerHello): void {
  const ram = blocks.reduce((largest, block) => (block.bytes > largest.bytes ? block : largest));
  const memory = openSync(`/proc/${pid}/mem`, 'r+');
  const bytes = Buffer.alloc(64, 0xff);
  for (let at = ram.address + 64; at < ram.address + ram.bytes; at += 4096) writeSync(memory, bytes, 0, 64, at);
  closeSync(memory);
}

async function move({ a }: Stage, port: number, more: Partial<MigrateOptions>): Promise<SourceResult> {
  const machine = await Machine.open('m', { home: a });
  return migrate(machine, { host: '127.0.0.1', port, policy, verify: true, ...more }).finally(() => machine.close());
}

const guest = { workload: 'hotset', memory: '128M', hotsetMib: 32 } as const;

t.test('a replay that goes astray is healed by a fresh checkpoint', generously, async (t) => {
  const scene = stage(t);
  const { a, b } = scene;
  const transcript = new Transcript();
  transcript.arrives(a);
  (await boot(a, guest)).close();
  const taking = await spoiling(t, b, 1);
  const seen: string[] = [];
  const { phase, error, report } = await move(scene, taking.port, {
    onDiverged: ({ message, healedBy }) => seen.push(`${message} (${healedBy})`),
  });
  transcript.arrives(b, 0);
  t.comment(seen.join('\n'));
  t.match({ phase, error }, { phase: { at: 'retired' }, error: null });
  t.equal(seen.length, 1);
  t.match(report.divergences, [{ instruction: Number, message: /^the replay differs/, healedBy: 'fresh-checkpoint' }]);
  t.match(report, {
    outcome: 'completed',
    owner: 'destination',
    digests: { ram: 'equal', devices: 'equal', registers: 'equal' },
  });
  t.not(report.migrationId, report.divergences[0]!.migrationId, 'the second is a migration of its own');
  await until('the receiver has heard the end', () => taking.results.length === 2);
  t.match(taking.results, [{ phase: { at: 'discarded' }, error: { code: 'E_DIVERGED' } }, { phase: { at: 'live' } }]);
  const first = taking.phases.slice(0, taking.phases.indexOf('discarded'));
  t.notOk(first.includes('ready'), 'it was found before anything could be handed over');
  await waitForLines(b.machine('m').consoleLog, 5);
  t.equal(discontinuity(transcript.text), null, 'and the guest has noticed nothing');
  t.same(leftOn(a), []);
});

t.test('told to abort, the migration ends and names the place', generously, async (t) => {
  const scene = stage(t);
  const { a, b } = scene;
  const machine = await boot(a, guest);
  const taking = await spoiling(t, b, 1);
  const { phase, error, report } = await move(scene, taking.port, { onDivergence: 'abort' });
  t.comment(error?.message);
  t.match({ phase, error }, { phase: { at: 'failed' }, error: { code: 'E_DIVERGED', message: /instruction \d+/ } });
  t.match(error, { facts: { icount: Number, event: String }, hint: /trmig checkpoint m --to DIR/ });
  t.match(report, { outcome: 'failed', owner: 'source', divergences: [{ healedBy: null }] });
  await until('the receiver has given up', () => taking.results.length > 0);
  t.same(leftOn(b), [], 'nothing is left on the destination');
  t.match(await machine.tracer.status(), { mode: 'dormant', running: true, pace: 0, owned: true });
  await waitForLines(machine.consoleLog, 5);
  machine.close();
});

t.test('one that always goes astray is given up', generously, async (t) => {
  const scene = stage(t);
  const { a, b } = scene;
  const machine = await boot(a, guest);
  const taking = await spoiling(t, b, 9);
  const { phase, error, report } = await move(scene, taking.port, {});
  t.match({ phase, error }, { phase: { at: 'failed' }, error: { code: 'E_DIVERGED' } });
  t.match(
    report.divergences.map(({ healedBy }) => healedBy),
    ['fresh-checkpoint', 'fresh-checkpoint', null],
  );
  t.comment(report.divergences.map(({ atMs, message }) => `${atMs.toFixed(0)} ms: ${message}`).join('\n'));
  t.notOk(taking.phases.includes('ready'));
  await until('the receiver has given up', () => taking.results.length === 3);
  t.same(leftOn(b), []);
  t.match(await machine.tracer.status(), { mode: 'dormant', running: true, owned: true });
  await waitForLines(machine.consoleLog, 5);
  machine.close();
});
