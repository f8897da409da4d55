// The CLI as a process, on what needs no machine: usage, errors, logs, damaged recordings.
import t from 'tap';
import { Cli, errorOf } from './support.js';

const recording = 'fixtures/logs/v1/recording';

t.test('help comes at once', async (t) => {
  const cli = await Cli.make(t);
  const beganMs = performance.now();
  const { code, stdout } = await cli.run('--help');
  t.equal(code, 0);
  t.match(stdout, /migrate +Move a running machine/);
  // 200 ms on an idle machine; tests share theirs.
  t.ok(performance.now() - beganMs < 3_000);
});

t.test('a wrong command line is one error, in text and in JSON', async (t) => {
  const cli = await Cli.make(t);
  const text = await cli.run('run');
  t.equal(text.code, 2);
  t.equal(text.stdout, '');
  t.match(text.stderr, /^error: Missing 1 required arg.*\(E_USAGE\)\nhint: .*trmig run --help\n$/);
  const json = await cli.run('ls', '--nonsense', '--json');
  t.equal(json.code, 2);
  t.match(errorOf(json), { code: 'E_USAGE', message: /--nonsense/ });
  t.equal((await cli.run('replay', recording, '--until', 'soon')).code, 2);
  t.equal((await cli.run('migrate', 'x', 'nowhere')).code, 2);
});

t.test('a machine that is not there', async (t) => {
  const cli = await Cli.make(t);
  for (const args of [
    ['status', 'x'],
    ['stop', 'x'],
    ['rm', 'x'],
    ['console', 'x'],
    ['checkpoint', 'x', '--to', cli.file('r')],
  ]) {
    t.match(errorOf(await cli.run(...args, '--json')), { code: 'E_MACHINE_UNKNOWN', hint: /trmig ls/ }, args[0]!);
  }
  t.match(errorOf(await cli.run('status', '../x', '--json')), { code: 'E_MACHINE_NAME' });
  t.same((await cli.run('ls', '--json')).json, []);
});

t.test('logs are counted, printed and compared, recordings and stock logs alike', async (t) => {
  const cli = await Cli.make(t);
  const stat = await cli.run('log', 'stat', recording, '--json');
  t.match(stat.json[0], { ended: true, events: 1465, segments: 5, instructions: 5790727 });
  t.match((await cli.run('log', 'stat', 'fixtures/logs/v1/devices.qemu-log')).stdout, /events +1465/);
  const dump = await cli.run('log', 'dump', recording, '--json', '--kind', 'net');
  t.equal(dump.json.length, 2);
  t.match(dump.json[0], { kind: 'net', data: /^[0-9a-f]+$/ });
  const part = await cli.run('log', 'dump', recording, '--from', '1', '--to', '0');
  t.equal(part.stdout, '');
  t.same((await cli.run('log', 'diff', recording, 'fixtures/logs/v1/devices.qemu-log', '--json')).json, [
    { same: true },
  ]);
  const differ = await cli.run('log', 'diff', recording, 'fixtures/logs/v1/seabios.qemu-log', '--json');
  t.equal(differ.code, 1);
  t.match(differ.json[0], { same: false, index: 1, icount: 0, a: { kind: 'clock-host' } });
});

t.test('damage is listed, and is the exit code', async (t) => {
  const cli = await Cli.make(t);
  t.equal((await cli.run('verify', recording)).code, 0);
  const damaged = await cli.run('verify', 'fixtures/damaged/log-body-bit-flipped', '--json');
  t.equal(damaged.code, 1);
  t.match(damaged.json[0], { whole: false, problems: [{ code: 'E_RECORDING_DAMAGED', file: /0000000002\.seg$/ }] });
  t.match(errorOf(await cli.run('verify', 'fixtures', '--json')), { code: 'E_RECORDING_MISSING' });
  const replayed = await cli.run('replay', 'fixtures/damaged/manifest-newer-format', '--json');
  t.match(errorOf(replayed), { code: 'E_RECORDING_FORMAT' });
  t.match(errorOf(await cli.run('replay', recording, '--json')), { code: 'E_RECORDING_UNREADY' });
});

t.test('doctor tries it out', async (t) => {
  const cli = await Cli.make(t);
  const { code, json } = await cli.run('doctor', '--json');
  t.equal(code, 0);
  for (const loads of ['tracer-loads', 'tracer-loads-aarch64']) {
    t.match(
      json.find(({ check }) => check === loads),
      { level: 'ok', hint: null },
    );
  }
  t.match(
    json.find(({ check }) => check === 'memory-access'),
    { level: 'ok' },
  );
});
