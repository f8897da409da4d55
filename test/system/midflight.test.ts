// What happens to a guest while it is being moved: by itself, or by somebody at its monitor. Each is replayed, or ends the
// migration with the reason; what a person has asked of the machine stays so.
import { createConnection } from 'node:net';
import t from 'tap';
import type { Test } from 'tap';
import { Machine, type Home } from '../../src/machine/index.js';
import type { ConvergencePolicy } from '../../src/migrate/convergence.js';
import { readJournal } from '../../src/migrate/journal.js';
import { migrate } from '../../src/migrate/migrate.js';
import type { SourceResult } from '../../src/migrate/source.js';
import { senderProcess } from './child.js';
import { consoleText } from './console.js';
import { boot, generously, leftOn, receiver, sleep, stage, until, type Stage, type TestReceiver } from './stage.js';

t.setTimeout(generously.timeout * 2);

/** No handover ever fits: it catches up until the time is up, and then does what it is told. */
const catchingUp = (onTimeout: 'abort' | 'switch', timeoutMs: number): ConvergencePolicy => ({
  maxDowntimeMs: 0.01,
  timeoutMs,
  onTimeout,
  maxPace: 0,
});

/** Types into the guest's console, no faster than a serial port takes it that is being recorded. */
function typing(t: Test, home: Home): (text: string) => Promise<void> {
  const shell = createConnection(home.machine('m').consoleSocket);
  shell.on('error', () => undefined);
  t.teardown(() => shell.destroy());
  return async (text) => {
    for (let at = 0; at < text.length; at += 8) {
      shell.write(text.slice(at, at + 8));
      await sleep(100);
    }
  };
}

const shows = (home: Home, what: RegExp): boolean => what.test(consoleText(home.machine('m').consoleLog));

async function shell(home: Home, append = ''): Promise<Machine> {
  const machine = await boot(home, { workload: 'shell', memory: '128M', append });
  await until('there is a prompt', () => shows(home, /^\/ # /m));
  return machine;
}

interface Flight {
  readonly result: SourceResult;
  readonly taking: TestReceiver;
}

/** Moves it, and does something to it while it catches up. */
async function fly(t: Test, { a, b }: Stage, policy: ConvergencePolicy, happens: () => Promise<void>): Promise<Flight> {
  const taking = await receiver(t, b);
  const machine = await Machine.open('m', { home: a });
  const happening: Promise<void>[] = [];
  const result = await migrate(machine, {
    host: '127.0.0.1',
    port: taking.port,
    policy,
    verify: false,
    onPhase: ({ at }) => {
      if (at === 'catching-up' && happening.length === 0) happening.push(happens());
    },
  });
  await Promise.all(happening);
  machine.close();
  t.comment(`${result.phase.at}: ${result.error?.code ?? 'no error'}: ${result.error?.message ?? ''}`);
  return { result, taking };
}

/** The guest is not there, and nothing of it is. */
async function nothingOn(t: Test, home: Home, taking: TestReceiver): Promise<void> {
  await until('nothing is left on the destination', () => leftOn(home).length === 0);
  t.notOk(taking.phases.includes('live'));
}

t.test('a guest that powers itself off ends the migration', generously, async (t) => {
  const scene = stage(t);
  const { a, b } = scene;
  (await shell(a)).close();
  const type = typing(t, a);
  const { result, taking } = await fly(t, scene, catchingUp('abort', 600_000), () => type('poweroff -f\n'));
  t.match(result, {
    phase: { at: 'failed' },
    error: { code: 'E_GUEST_OFF', hint: /trmig run/ },
    report: { owner: 'source' },
  });
  await nothingOn(t, b, taking);
  await until('its process is gone', async () => (await Machine.list({ home: a }))[0]?.state !== 'running');
  t.match(await Machine.list({ home: a }), [{ name: 'm', state: 'stopped' }]);
  t.match((await readJournal(a.machine('m').ownership)).records.at(-1), { role: 'source', state: 'returned' });
});

t.test('a guest that panics and restarts goes on so', generously, async (t) => {
  const scene = stage(t);
  const { a, b } = scene;
  (await shell(a, 'panic=1')).close();
  const type = typing(t, a);
  const { result } = await fly(t, scene, catchingUp('switch', 12_000), () => type('echo c > /proc/sysrq-trigger\n'));
  t.match(result, { phase: { at: 'retired' }, error: null });
  const prompts = (home: Home): number => consoleText(home.machine('m').consoleLog).split('/ # ').length - 1;
  await until('it has restarted, here or there', () => prompts(a) + prompts(b) >= 2);
  await typing(t, b)("echo al''ive\n");
  await until('it answers where it is now', () => shows(b, /^alive/m));
  t.same(leftOn(a), []);
});

t.test('a person who pauses it ends the migration, and it stays paused', generously, async (t) => {
  const scene = stage(t);
  const { a, b } = scene;
  const machine = await shell(a);
  const { result, taking } = await fly(t, scene, catchingUp('switch', 12_000), async () => {
    await machine.withQmp((qmp) => qmp.execute('stop'));
  });
  t.match(result, { phase: { at: 'failed' }, error: { code: 'E_GUEST_STOPPED', message: /paused/ } });
  t.ok(result.report.totalMs < 11_000, 'at once, not at the handover');
  await nothingOn(t, b, taking);
  t.match(await machine.tracer.status(), { mode: 'dormant', running: false, owned: true, leaseMs: 0 });

  const again = await receiver(t, b);
  const policy = catchingUp('switch', 12_000);
  const paused = await migrate(machine, { host: '127.0.0.1', port: again.port, policy, verify: false });
  t.match(paused, { phase: { at: 'failed' }, error: { code: 'E_BUSY', message: /stopped/, hint: /cont/ } });
  t.match(
    await machine.tracer.status(),
    { mode: 'dormant', running: false },
    'a paused machine is not moved, and stays so',
  );

  await machine.withQmp((qmp) => qmp.execute('cont'));
  await typing(t, a)("echo al''ive\n");
  await until('it goes on', () => shows(a, /^alive/m));
  machine.close();
});

t.test('nobody lets a guest go on that is stopped for its handover', generously, async (t) => {
  const { a } = stage(t);
  const machine = await shell(a);
  const { tracer } = machine;
  const stream = await tracer.openStream('log');
  stream.resume();
  await tracer.arm({ shift: 3, stream: 'log', segmentMs: 20, segmentBytes: 1 << 20, checkpoint: false });
  await tracer.finish(20_000);
  await t.rejects(
    machine.withQmp((qmp) => qmp.execute('cont')),
    { code: 'E_QMP_COMMAND' },
    'in its last moments here',
  );
  await tracer.relinquish();
  await t.rejects(
    machine.withQmp((qmp) => qmp.execute('cont')),
    { code: 'E_QMP_COMMAND' },
    'and when it is given away',
  );
  t.match(await tracer.status(), { running: false, owned: false });
  await tracer.reclaim();
  t.match(await tracer.status(), { running: true, mode: 'dormant' });
  await typing(t, a)("echo al''ive\n");
  await until('it goes on', () => shows(a, /^alive/m));
  stream.destroy();
  machine.close();
});

t.test('a second migration learns who is at it', generously, async (t) => {
  const { a, b } = stage(t);
  const machine = await shell(a);
  const taking = await receiver(t, b);
  const first = senderProcess(t, a, taking.port, 0.01);
  await first.says('phase', 'catching-up');
  await t.rejects(
    migrate(machine, { host: '127.0.0.1', port: taking.port, policy: catchingUp('abort', 1_000), verify: false }),
    { code: 'E_BUSY', message: new RegExp(`process ${first.pid}`), facts: { pid: first.pid } },
  );
  await first.kill();
  machine.close();
});

t.test('a machine with another device than it was started with', generously, async (t) => {
  const scene = stage(t);
  const { a, b } = scene;
  const machine = await shell(a);
  const add = (id: string): Promise<unknown> =>
    machine.withQmp((qmp) => qmp.execute('device_add', { driver: 'virtio-balloon-pci', id }));

  await t.test('added while it is moved does not arrive', async (t) => {
    const { result, taking } = await fly(t, scene, catchingUp('switch', 12_000), async () => {
      await add('one');
    });
    t.match(result, { phase: { at: 'failed' }, error: { message: /device was added/ }, report: { owner: 'source' } });
    await nothingOn(t, b, taking);
    t.match(await machine.tracer.status(), { mode: 'dormant', running: true, owned: true });
  });
  await t.test('is not moved', async (t) => {
    const { result, taking } = await fly(t, scene, catchingUp('switch', 12_000), () => Promise.resolve());
    t.match(result, { phase: { at: 'failed' }, error: { code: 'E_TRACER_FAILED', message: /device was added/ } });
    await nothingOn(t, b, taking);
  });
  await t.test('is moved when that is gone again', async (t) => {
    await machine.withQmp((qmp) => qmp.execute('device_del', { id: 'one' }));
    await until('the guest has let it go', async () => {
      const found = await machine.withQmp((qmp) => qmp.execute('qom-list', { path: '/machine/peripheral' }));
      return !JSON.stringify(found).includes('"one"');
    });
    const { result } = await fly(t, scene, catchingUp('switch', 12_000), () => Promise.resolve());
    t.match(result, { phase: { at: 'retired' }, error: null });
  });
  machine.close();
});
