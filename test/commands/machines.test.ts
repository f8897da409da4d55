// A real guest through the commands: started, looked at, recorded, replayed, taken over, ended.
import { readdir, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { Home, TrmigError } from '../../src/index.js';
import { Cli, errorOf, qemusOf, until } from './support.js';

const cli = await Cli.make(t);
const home = new Home(cli.home);

interface Replayed {
  readonly icount: number;
  readonly guestMs: number;
  readonly final: boolean;
  readonly state: string;
  readonly speed: number;
  readonly digests: Readonly<Record<string, string>>;
}

async function replay(...args: string[]): Promise<Replayed> {
  const ran = await cli.run('replay', ...args, '--json');
  if (ran.code !== 0) throw new Error(ran.stdout + ran.stderr);
  return ran.json.at(-1)!['replay'] as Replayed;
}

/** The guest runs on, dormant. */
async function isUnharmed(name: string): Promise<boolean> {
  const { tracer } = (await cli.run('status', name, '--json')).json[0] as {
    tracer: { mode: string; running: boolean };
  };
  return tracer.mode === 'dormant' && tracer.running;
}

t.test('a machine is started, listed, shown', async (t) => {
  const ran = await cli.run('run', 'fixtures/specs/idle.yaml', '--json');
  t.same([ran.code, errorOf(ran)], [0, {}]);
  t.match(ran.json[0], { name: 'idle', pid: Number, consoleLog: /console\.log$/ });
  t.match(errorOf(await cli.run('run', 'fixtures/specs/idle.yaml', '--json')), { code: 'E_MACHINE_EXISTS' });
  t.match((await cli.run('ls', '--json')).json, [{ name: 'idle', state: 'running' }]);
  await cli.guestSays('idle', /^tick/, 3);
  t.match((await cli.run('console', 'idle', '-n', '2')).stdout, /^tick \d+\ntick \d+\n$/);
  const status = await cli.run('status', 'idle');
  t.match(status.stdout, /^idle {2}running\n[^]*tracer +dormant; the guest runs/);
  t.match(errorOf(await cli.run('rm', 'idle', '--json')), { code: 'E_MACHINE_EXISTS' });
});

t.test(
  'a recording replays to the same state, at many times its speed, and stops exactly where it is told',
  async (t) => {
    const rec = cli.file('idle.rec');
    const recorded = await cli.run('checkpoint', 'idle', '--to', rec, '--for', '6s', '--json');
    t.same([recorded.code, errorOf(recorded)], [0, {}]);
    const { endIcount, reason } = recorded.json.at(-1)!['recording'] as { endIcount: number; reason: string };
    t.equal(reason, 'duration');
    t.ok(await isUnharmed('idle'));
    t.match((await cli.run('verify', rec, '--json')).json[0], { whole: true, problems: [] });

    const [once, again] = [await replay(rec, '--verify'), await replay(rec, '--verify')];
    t.same(once.digests, again.digests);
    t.match(once, { icount: endIcount, final: true, state: 'ended' });
    // Tests share their machine: the best of three says what replay can do.
    let speed = Math.max(once.speed, again.speed);
    if (speed < 20) speed = Math.max(speed, (await replay(rec)).speed);
    t.ok(speed >= 20, `${speed} times real time`);

    const half = Math.floor(endIcount / 2);
    const [a, b] = [
      await replay(rec, '--until', String(half), '--verify'),
      await replay(rec, '--until', String(half), '--verify'),
    ];
    t.match(a, { icount: half, final: false });
    t.same(a.digests, b.digests);
    t.not(a.digests['ram'], once.digests['ram']);
    const [timed, timedAgain] = [await replay(rec, '--until', '3s'), await replay(rec, '--until', '3s')];
    t.equal(timed.icount, timedAgain.icount);
    t.same(timed.digests, timedAgain.digests);
    t.ok(Math.abs(timed.guestMs - 3000) < 1000, `${timed.guestMs} ms`);

    t.match(errorOf(await cli.run('replay', rec, '--until', String(endIcount + 1), '--json')), {
      code: 'E_RECORDING_POSITION',
    });
    t.match(errorOf(await cli.run('replay', rec, '--live', '--json')), { code: 'E_RECORDING_HELD', hint: /--fork/ });
    t.match(errorOf(await cli.run('checkpoint', 'idle', '--to', rec, '--json')), { code: 'E_RECORDING_EXISTS' });
    t.same(await home.machineNames(), ['idle'], 'replays leave no machine');
    t.equal((await qemusOf(cli.home)).length, 1, 'nor a QEMU');
  },
);

t.test('a copy runs on as a new machine', async (t) => {
  const forked = await replay(cli.file('idle.rec'), '--live', '--fork', '--name', 'other');
  t.equal(forked.state, 'live');
  await cli.guestSays('other', /^tick/, 2);
  t.match((await cli.run('stop', 'other', '--json')).json, [{ name: 'other', state: 'stopped' }]);
  const onto = await cli.run('replay', cli.file('idle.rec'), '--name', 'other', '--json');
  t.match(
    errorOf(onto),
    { code: 'E_MACHINE_EXISTS' },
    'a replay, which ends with its machine, takes no name that is taken',
  );
  t.equal((await cli.run('rm', 'other')).code, 0);
});

t.test('a recording is followed while it grows; Ctrl-C ends it in order', async (t) => {
  const rec = cli.file('growing.rec');
  const recorder = cli.start('checkpoint', 'idle', '--to', rec, '--until-interrupted', '--json');
  await until('the recording has begun', () => stat(`${rec}/manifest.trm`).catch(() => null));
  t.match(errorOf(await cli.run('stop', 'idle', '--json')), { code: 'E_BUSY', hint: /--force/ });
  const follower = replay(rec, '--follow', '--verify');
  await sleep(3_000);
  recorder.child.kill('SIGINT');
  const ended = await recorder.ended;
  t.same([ended.code, errorOf(ended)], [0, {}]);
  t.match(ended.json.at(-1)!['recording'], { reason: 'interrupted' });
  const followed = await follower;
  t.equal(followed.final, true);
  t.same(followed.digests, (await replay(rec, '--verify')).digests);
  t.ok(await isUnharmed('idle'));
});

t.test('a machine that is given up is taken over from its recording, once', async (t) => {
  const rec = cli.file('moved.rec');
  const before = await cli.guestSays('idle', /^tick/);
  const given = await cli.run('checkpoint', 'idle', '--to', rec, '--for', '2s', '--give-up', '--json');
  t.same([given.code, errorOf(given)], [0, {}]);
  t.match((await cli.run('status', 'idle', '--json')).json[0], {
    state: 'stopped',
    ownership: { owner: 'there', last: { state: 'retired' }, advice: null },
  });
  t.match(await replay(rec, '--live'), { state: 'live' });
  t.match((await cli.run('status', 'idle', '--json')).json[0], {
    state: 'running',
    ownership: { owner: 'here', last: { role: 'destination', state: 'live' } },
  });
  const lines = await cli.guestSays('idle', /^tick/, before.length + 4);
  const ticks = lines.map((line) => Number(/\d+/.exec(line)![0]));
  t.same(
    ticks,
    Array.from(ticks, (_, i) => ticks[0]! + i),
    'the counter goes on without a gap or a repeat',
  );
  t.match(errorOf(await cli.run('replay', rec, '--live', '--json')), { code: 'E_RECORDING_HELD' });
});

t.test('a machine is ended and forgotten', async (t) => {
  t.equal((await cli.run('stop', 'idle')).code, 0);
  t.match(errorOf(await cli.run('stop', 'idle', '--json')), { code: 'E_MACHINE_DEAD' });
  t.match((await cli.run('ls', '--json')).json, [{ name: 'idle', state: 'stopped', pid: null }]);
  t.equal((await cli.run('rm', 'idle')).code, 0);
  t.same(await readdir(home.machines), []);
  t.same(await qemusOf(cli.home), []);
});

t.test('a refused spec says why', async (t) => {
  const { writeFile } = await import('node:fs/promises');
  await writeFile(cli.file('smp.yaml'), 'name: two\nmemory: 64M\nsmp: 2\n');
  const ran = await cli.run('run', cli.file('smp.yaml'), '--json');
  t.match(errorOf(ran), { code: 'E_PROFILE', hint: /smp/ });
  t.equal(ran.code, new TrmigError('E_PROFILE', '').exitCode);
});
