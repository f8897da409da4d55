// Machines with a real QEMU, without the tracer: starting, finding, ending, and what is left when things die.
import { execFile, spawn } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';
import type { Test } from 'tap';
import { Home } from '../../src/machine/home.js';
import { Machine, type StartOptions } from '../../src/machine/machine.js';
import { findQemu, isVersion, parseVersion } from '../../src/machine/qemu.js';
import { parseSpec, type MachineSpec } from '../../src/machine/spec.js';
import { codeOf, temporaryFolder } from './fake-peer.js';

const spec = (more = ''): MachineSpec => parseSpec(`name: web\nmemory: 16M\n${more}`, { base: '/', source: 'test' });

/** A home whose machines are killed at the test's end. */
function temporaryHome(t: Test): Home {
  const home = new Home(temporaryFolder(t));
  t.teardown(async () => {
    for (const { name, state } of await Machine.list({ home })) {
      if (state === 'running') await (await Machine.open(name, { home })).stop({ graceful: false });
    }
  });
  return home;
}

async function start(home: Home, of: MachineSpec = spec(), options: StartOptions = {}): Promise<Machine> {
  return Machine.start(of, { home, tracer: null, ...options });
}

/** An executable that stands in for QEMU. */
function script(t: Test, body: string): string {
  const file = path.join(temporaryFolder(t), 'qemu');
  writeFileSync(file, `#!/bin/sh\ncase "$1" in --version) echo "QEMU emulator version 10.0.2"; exit;; esac\n${body}\n`);
  chmodSync(file, 0o755);
  return file;
}

t.test('a machine starts, is found by its name, and ends', async (t) => {
  const home = temporaryHome(t);
  const machine = await start(home);
  t.match(await machine.status(), {
    name: 'web',
    state: 'running',
    pid: machine.process.pid,
    qemu: 'running',
    tracer: null,
  });
  t.same(await Machine.list({ home }), [{ name: 'web', state: 'running', pid: machine.process.pid }]);
  t.equal(statSync(machine.paths.folder).mode & 0o777, 0o700);
  const again = await Machine.open('web', { home });
  t.same(again.spec, machine.spec);
  t.throws(() => again.tracer, { code: 'E_TRACER_CONNECT' });
  t.equal((await again.withQmp((qmp) => Promise.resolve(qmp.version))).major, 10);
  await again.stop();
  t.notOk(await machine.isAlive());
  t.same(await Machine.list({ home }), [{ name: 'web', state: 'stopped', pid: null }]);
  for (const file of ['qmp.sock', 'console.sock', 'qemu.pid', 'process.json']) {
    t.notOk(existsSync(path.join(machine.paths.folder, file)), `${file} is gone`);
  }
  await t.rejects(Machine.open('web', { home }), { code: 'E_MACHINE_DEAD', message: /was stopped/ });
  await machine.stop();
  await Machine.remove('web', { home });
  t.equal(await codeOf(Machine.open('web', { home })), 'E_MACHINE_UNKNOWN');
});

t.test('a destination starts paused', async (t) => {
  const machine = await start(temporaryHome(t), spec(), { paused: true });
  t.equal((await machine.status()).qemu, 'prelaunch');
});

t.test('every kind of device in the profile starts', async (t) => {
  const disk = path.join(temporaryFolder(t), 'disk, odd.raw');
  writeFileSync(disk, Buffer.alloc(1024 * 1024));
  const more = `disks: [{ file: '${disk}', format: raw }]
nics: [{ backend: user, mac: 52:54:00:a0:00:01 }]
devices: [virtio-rng, virtio-serial]\nboard: `;
  // Any file will do for a kernel: the guest is not looked at.
  for (const board of ['pc', 'q35', `virt\narch: aarch64\nkernel: '${disk}'`]) {
    const machine = await start(temporaryHome(t), spec(more + board));
    t.equal((await machine.status()).state, 'running', board);
    await machine.stop();
  }
});

t.test('a name that runs is not started twice, not even at the same moment', async (t) => {
  const home = temporaryHome(t);
  const codes = await Promise.all([1, 2, 3].map(() => codeOf(start(home))));
  t.same(codes.sort(), ['E_MACHINE_EXISTS', 'E_MACHINE_EXISTS', 'none']);
  await t.rejects(start(home), { code: 'E_MACHINE_EXISTS', message: /runs already, as process \d+/ });
  t.equal(await codeOf(Machine.remove('web', { home })), 'E_MACHINE_EXISTS');
  t.equal((await Machine.list({ home }))[0]!.state, 'running');
});

t.test('a machine outlives the command that started it', async (t) => {
  const home = temporaryHome(t);
  const starter = fileURLToPath(new URL('starter.js', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [starter, home.root, 'web']);
  const machine = await Machine.open('web', { home });
  t.equal(machine.process.pid, Number(stdout));
  const stat = readFileSync(`/proc/${machine.process.pid}/stat`, 'latin1');
  const session = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[3];
  t.equal(Number(session), machine.process.pid, 'in a session of its own');
});

t.test('a killed QEMU is reported as dead, and starting clears it away', async (t) => {
  const home = temporaryHome(t);
  const first = await start(home);
  process.kill(first.process.pid, 'SIGKILL');
  while (await first.isAlive()) await new Promise((resolve) => setTimeout(resolve, 5));
  t.same(await Machine.list({ home }), [{ name: 'web', state: 'dead', pid: null }]);
  t.match(await first.status(), { state: 'dead', qemu: null });
  await t.rejects(Machine.open('web', { home }), { code: 'E_MACHINE_DEAD', message: /its QEMU is gone/ });
  const second = await start(home);
  t.not(second.process.pid, first.process.pid);
  t.ok(await second.isAlive());
  await first.stop();
  t.ok(await second.isAlive(), 'an object of the dead one does not stop its successor');
  t.match(await second.status(), { state: 'running', qemu: 'running' });
  t.match(await first.status(), { state: 'dead', pid: null });
});

t.test('a process that only has the pid is not taken for the machine', async (t) => {
  const home = temporaryHome(t);
  const machine = await start(home);
  const noted = JSON.parse(readFileSync(machine.paths.process, 'utf8')) as Record<string, unknown>;
  await machine.stop();
  const stranger = spawn('sleep', ['60']);
  t.teardown(() => stranger.kill('SIGKILL'));
  writeFileSync(machine.paths.pid, `${stranger.pid}\n`);
  writeFileSync(machine.paths.process, JSON.stringify({ ...noted, pid: stranger.pid }));
  t.equal((await Machine.list({ home }))[0]!.state, 'dead');
  await machine.stop({ graceful: false });
  t.equal(stranger.exitCode ?? stranger.signalCode, null, 'and is not killed');
  await start(home);
});

t.test('a start that was killed half-way is found again, and its lock is broken', async (t) => {
  const home = temporaryHome(t);
  const machine = await start(home);
  writeFileSync(machine.paths.process, '{"pid":');
  t.equal((await Machine.list({ home }))[0]!.pid, machine.process.pid, 'by its command line');
  await machine.stop();
  writeFileSync(machine.paths.startLock, JSON.stringify({ ...machine.process, startTicks: 1 }));
  t.equal(await codeOf(start(home)), 'none');
});

t.test('QEMU’s own words come with a failed start, and nothing stays', async (t) => {
  const home = temporaryHome(t);
  const error = await start(home, spec('cpu: no-such-cpu')).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  t.match(error, { code: 'E_QEMU_START', message: /it exited with 1\.\n.*no-such-cpu/ });
  t.match(error, { facts: { said: /no-such-cpu/, log: home.machine('web').qemuLog } });
  t.same(await Machine.list({ home }), [{ name: 'web', state: 'stopped', pid: null }]);
  t.equal(await codeOf(start(home)), 'none', 'and the name is free');
});

t.test('a QEMU that hangs or falls silent is given up on', async (t) => {
  const home = temporaryHome(t);
  const hanging = spec(`qemu: { binary: ${script(t, 'echo one last word >&2; exec sleep 60')} }`);
  const late = start(home, hanging, { timeoutMs: 200 });
  await t.rejects(late, { code: 'E_QEMU_START', message: /did not answer within 200 ms[\s\S]*one last word/ });
  t.equal(await codeOf(start(home, hanging, { signal: AbortSignal.timeout(200) })), 'E_ABORTED');
  const dying = spec(`qemu: { binary: ${script(t, 'kill -SEGV $$')} }`);
  await t.rejects(start(home, dying), { code: 'E_QEMU_START', message: /killed by SIGSEGV\. It said nothing/ });
});

t.test('the wrong QEMU is refused before anything is made', async (t) => {
  const home = temporaryHome(t);
  const old = script(t, '');
  writeFileSync(old, '#!/bin/sh\necho "QEMU emulator version 7.2.22 (Debian 1:7.2)"\n');
  await t.rejects(start(home, spec(`qemu: { binary: ${old} }`)), {
    code: 'E_QEMU_VERSION',
    message: /is QEMU 7\.2\.22, and the spec wants 10\.0$/,
    facts: { found: '7.2.22', wanted: '10.0' },
  });
  writeFileSync(old, '#!/bin/sh\necho hello\n');
  t.equal(await codeOf(start(home, spec(`qemu: { binary: ${old} }`))), 'E_QEMU_NOT_FOUND');
  t.equal(await codeOf(start(home, spec('qemu: { binary: /nowhere }'))), 'E_SPEC');
  t.equal(await codeOf(start(home, spec('smp: 2'))), 'E_PROFILE');
  t.same(await Machine.list({ home }), []);
});

t.test('QEMU is searched for in order', async (t) => {
  const fake = script(t, '');
  const env = { HOME: '/nowhere', PATH: '/nowhere' };
  const wanted = { arch: 'x86_64', qemu: { version: '10.0' } } as const;
  t.same(await findQemu(wanted, { env: { ...env, TRMIG_QEMU: fake } }), { binary: fake, version: '10.0.2' });
  t.equal(await codeOf(findQemu(wanted, { env })), 'E_QEMU_NOT_FOUND');
  t.equal(
    await codeOf(findQemu({ ...wanted, qemu: { version: '9.1' } }, { env: { ...env, TRMIG_QEMU: fake } })),
    'E_QEMU_VERSION',
  );
  const named = path.join(path.dirname(fake), 'qemu-system-x86_64');
  symlinkSync(fake, named);
  t.equal((await findQemu(wanted, { env: { ...env, TRMIG_QEMU: named } })).binary, named);
  const arm = findQemu({ ...wanted, arch: 'aarch64' }, { env: { ...env, TRMIG_QEMU: named } });
  t.equal(await codeOf(arm), 'E_QEMU_NOT_FOUND', 'a QEMU that is named for another architecture is not taken');
  t.equal(parseVersion('QEMU emulator version 10.0.2 (Debian 1:10)\nCopyright'), '10.0.2');
  t.equal(parseVersion('version 10.0.2'), null);
  t.same(
    [
      isVersion('10.0.2', '10.0'),
      isVersion('10.0.2', '10.0.2'),
      isVersion('10.1.0', '10.0'),
      isVersion('10.0.20', '10.0.2'),
    ],
    [true, true, false, false],
  );
});

t.test('a machine ends although its monitor is taken, and although it does not listen', async (t) => {
  const machine = await start(temporaryHome(t));
  const holder = await machine.openQmp();
  await machine.stop();
  holder.close();
  t.notOk(await machine.isAlive(), 'by SIGTERM');
  const frozen = await start(temporaryHome(t));
  process.kill(frozen.process.pid, 'SIGSTOP');
  await frozen.stop({ graceful: false });
  t.notOk(await frozen.isAlive());
});
