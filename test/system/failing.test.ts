// Migrations that fail, and what they leave: the source's guest runs on, dormant and at full speed, and nothing else is left
// on either host.
import t from 'tap';
import type { Test } from 'tap';
import { Machine, type Home } from '../../src/machine/index.js';
import type { ConvergencePolicy } from '../../src/migrate/convergence.js';
import { readJournal } from '../../src/migrate/journal.js';
import { migrate } from '../../src/migrate/migrate.js';
import type { SourcePhase } from '../../src/migrate/source-states.js';
import type { SourceResult } from '../../src/migrate/source.js';
import { receiverProcess } from './child.js';
import { consoleText, discontinuity, waitForLines } from './console.js';
import { processesOf } from './folder-processes.js';
import {
  boot,
  generously,
  leftBeside,
  leftOn,
  receiver,
  stage,
  until,
  type GuestOptions,
  type Stage,
} from './stage.js';

t.setTimeout(generously.timeout * 3);
const small = { workload: 'hotset', memory: '128M', hotsetMib: 32 } satisfies GuestOptions;
/** No handover ever fits this: the migration catches up until something else ends it. */
const never = { maxDowntimeMs: 0.01, timeoutMs: 600_000, onTimeout: 'abort', maxPace: 0.5 } satisfies ConvergencePolicy;
const gladly = {
  maxDowntimeMs: 500,
  timeoutMs: 20_000,
  onTimeout: 'switch',
  maxPace: 0.95,
} satisfies ConvergencePolicy;

/** The guest runs on this host as if nothing had been: dormant, unpaced, its output whole. */
async function runsOn(t: Test, home: Home): Promise<void> {
  const machine = await Machine.open('m', { home });
  const status = await machine.tracer.status();
  machine.close();
  t.match(status, { mode: 'dormant', running: true, pace: 0, owned: true, leaseMs: 0, stream: false });
  await waitForLines(machine.consoleLog, 5);
  t.equal(discontinuity(consoleText(machine.consoleLog)), null, 'the guest goes on');
  t.same(leftBeside(home, machine.process.pid), [], 'and nothing is left beside it');
}

interface Attempt {
  readonly port: number;
  readonly policy?: ConvergencePolicy;
  readonly signal?: AbortSignal;
  readonly onPhase?: (phase: SourcePhase['at']) => void;
}

async function attempt({ a }: Stage, { port, policy = never, signal, onPhase }: Attempt): Promise<SourceResult> {
  const machine = await Machine.open('m', { home: a });
  try {
    return await migrate(machine, {
      host: '127.0.0.1',
      port,
      policy,
      verify: false,
      ...(signal && { signal }),
      ...(onPhase && { onPhase: (phase) => onPhase(phase.at) }),
    });
  } finally {
    machine.close();
  }
}

t.test('a receiver that vanishes', generously, async (t) => {
  const scene = stage(t);
  const { a, b } = scene;
  (await boot(a, small)).close();
  const deaths = {
    'during the base': 'shipping',
    'during the log': 'catching-up',
    'during the tail': 'draining',
  } as const;
  for (const [when, at] of Object.entries(deaths)) {
    await t.test(when, async (t) => {
      const taking = await receiverProcess(t, b);
      const policy = at === 'draining' ? gladly : never;
      const onPhase = (phase: SourcePhase['at']): void => {
        if (phase === at) taking.process.kill('SIGKILL');
      };
      const { phase, error, report } = await attempt(scene, { port: taking.port, policy, onPhase });
      t.match({ phase, error }, { phase: { at: 'failed' }, error: { code: 'E_PEER_GONE' } });
      t.match(report, { outcome: 'failed', owner: 'source', downtimeMs: null });
      await runsOn(t, a);
      t.match((await readJournal(a.machine('m').ownership)).records.at(-1), { role: 'source', state: 'returned' });
      t.comment(`left on the destination: ${leftOn(b).join(', ')}`);
      const copy = await Machine.open('m', { home: b });
      t.match(await copy.tracer.status(), { running: false }, 'its QEMU does not run the guest');
      copy.close();
      await (await receiver(t, b)).close();
      t.same(leftOn(b), [], 'and the next receiver clears it away');
    });
  }
  await t.test('and comes back takes the machine', async (t) => {
    const again = await receiver(t, b);
    const { phase, error } = await attempt(scene, { port: again.port, policy: gladly });
    t.match({ phase, error }, { phase: { at: 'retired' }, error: null });
    await runsOn(t, b);
    t.same(leftOn(a), []);
  });
});

t.test('a destination without room refuses before the source is touched', generously, async (t) => {
  const scene = stage(t);
  const { a, b } = scene;
  const machine = await boot(a, small);
  const taking = await receiver(t, b, { memoryToGive: () => Promise.resolve(100 * 1024 * 1024) });
  const { phase, error, report } = await attempt(scene, { port: taking.port });
  t.match({ phase, error }, { phase: { at: 'failed' }, error: { code: 'E_NO_ROOM' } });
  t.match(report, { outcome: 'failed', owner: 'source', pauses: [] });
  t.same((await machine.tracer.status()).pauses, [], 'the guest was never paused');
  t.same((await readJournal(a.machine('m').ownership)).records, []);
  t.same(leftOn(b), []);
  await runsOn(t, a);
  machine.close();
});

t.test('a destination that stands still during the handover does not keep the guest', generously, async (t) => {
  const scene = stage(t);
  const { a, b } = scene;
  (await boot(a, small)).close();
  const taking = await receiver(t, b);
  const onPhase = (phase: SourcePhase['at']): void => {
    if (phase !== 'draining') return;
    for (const { pid, argv } of processesOf(b.root)) {
      if (argv[0]!.includes('qemu-system')) process.kill(pid, 'SIGSTOP');
    }
  };
  const { phase, error, report } = await attempt(scene, { port: taking.port, policy: gladly, onPhase });
  t.match({ phase, error }, { phase: { at: 'failed' }, error: { code: 'E_STALLED' } });
  t.match(report, { outcome: 'failed', owner: 'source' });
  await until('the receiver has given up', () => taking.results.length > 0);
  t.match(taking.results[0], { phase: { at: 'discarded' } });
  t.same(leftOn(b), [], 'nothing is left on the destination');
  await runsOn(t, a);
});

for (const [when, at] of Object.entries({ 'the base is under way': 'shipping', 'it catches up': 'catching-up' })) {
  t.test(`a migration cancelled while ${when} leaves the guest where it is`, generously, async (t) => {
    const scene = stage(t);
    const { a, b } = scene;
    (await boot(a, small)).close();
    const taking = await receiver(t, b);
    const cancel = new AbortController();
    const onPhase = (phase: SourcePhase['at']): void => {
      if (phase === at) setTimeout(() => cancel.abort(), at === 'shipping' ? 0 : 1000);
    };
    const result = await attempt(scene, { port: taking.port, signal: cancel.signal, onPhase });
    t.match(result, { phase: { at: 'aborted' }, error: { code: 'E_ABORTED' }, report: { outcome: 'aborted' } });
    await until('the receiver has given up', () => taking.results.length > 0);
    t.match(taking.results[0], { phase: { at: 'discarded' } });
    t.same(leftOn(b), [], 'nothing is left on the destination');
    await runsOn(t, a);
  });
}

t.test('a migration that does not converge in time is given up, and the guest unpaced', generously, async (t) => {
  const scene = stage(t);
  const { a, b } = scene;
  (await boot(a, { workload: 'compile', memory: '128M' })).close();
  const taking = await receiver(t, b);
  const result = await attempt(scene, { port: taking.port, policy: { ...never, timeoutMs: 6_000 } });
  t.match(result, { phase: { at: 'failed' }, error: { code: 'E_NOT_CONVERGED' }, report: { owner: 'source' } });
  t.comment(`paced ${result.report.pacing.max} at most`);
  await until('the receiver has given up', () => taking.results.length > 0);
  t.same(leftOn(b), []);
  await runsOn(t, a);
});
