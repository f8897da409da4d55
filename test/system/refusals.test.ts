// What trmig refuses, with one clear error, and goes on: specs that cannot be replayed, strangers at the receiver's port, a
// disk that fills up under a recording. TRMIG_SEED reproduces a run's random choices.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { asTrmigError, type TrmigError } from '../../src/errors.js';
import { verifyRecording } from '../../src/log/index.js';
import { Machine, parseSpec } from '../../src/machine/index.js';
import { migrate } from '../../src/migrate/migrate.js';
import { recordMachine, type RecordOptions } from '../../src/migrate/record.js';
import { encodeFrame } from '../../src/wire/parser.js';
import { damaged, seeded } from '../machine/random.js';
import { consoleText, discontinuity, waitForLines } from './console.js';
import { unmountThoseOf } from './folder-processes.js';
import { boot, generously, leftBeside, leftOn, receiver, stage, until, type GuestOptions } from './stage.js';

t.setTimeout(generously.timeout * 2);
const seed = Number(process.env['TRMIG_SEED'] ?? Date.now() % 1e9);
const small = { workload: 'hotset', memory: '128M', hotsetMib: 8 } satisfies GuestOptions;
const policy = { maxDowntimeMs: 500, timeoutMs: 20_000, onTimeout: 'switch', maxPace: 0.95 } as const;

async function errorOf(work: Promise<unknown>): Promise<TrmigError> {
  return work.then(
    () => {
      throw new Error('it was not refused');
    },
    (thrown: unknown) => asTrmigError(thrown),
  );
}

t.test('a machine that cannot be replayed is not started', generously, async (t) => {
  const { a } = stage(t);
  const refused: [change: object, message: RegExp][] = [
    [{ smp: 2 }, /smp: 2 does not work: .*\. Use smp: 1/],
    [{ devices: ['e1000'] }, /devices\[0\]: e1000 does not work: .*Use virtio-net/],
    [{ accel: 'kvm' }, /accel: kvm does not work: KVM .*Use accel: tcg/],
    [{ qemu: { version: '9.2' } }, /qemu\.version: 9\.2 does not work: .*Use qemu\.version: '10\.0'/],
  ];
  for (const [change, message] of refused) {
    const spec = parseSpec(JSON.stringify({ name: 'm', memory: '16M', ...change }), { base: '/', source: 'test' });
    const error = await errorOf(Machine.start(spec, { home: a }));
    t.match(error, { code: 'E_PROFILE', message }, JSON.stringify(change));
    t.match(error.hint, /^Change /);
  }
  t.same(leftOn(a), []);
});

t.test('a machine with a user nic runs, and is not moved', generously, async (t) => {
  const { a } = stage(t);
  const machine = await boot(a, {
    workload: 'idle',
    memory: '128M',
    nics: [{ backend: 'user', mac: '52:54:00:77:00:10' }],
  });
  // Nobody listens there, and nobody is asked.
  const error = await errorOf(migrate(machine, { host: '127.0.0.1', port: 1, verify: false, policy }));
  t.match(error, { code: 'E_PROFILE', message: /nics\[0\]: backend user does not work: .*Use backend: tap/ });
  t.match(await machine.tracer.status(), { pauses: [], mode: 'dormant', running: true });
  machine.close();
});

t.test('strangers at a receiver cost it nothing', generously, async (t) => {
  const { a, b } = stage(t);
  const machine = await boot(a, small);
  const refused: string[] = [];
  const taking = await receiver(t, b, { onRefused: ({ code }) => refused.push(code) });
  t.comment(`TRMIG_SEED=${seed}`);
  const random = seeded(seed);
  const hello = (): Buffer => {
    const frame = { versionMin: 1, versionMax: 1, trmig: '0', host: 'stranger', capabilities: [] };
    return encodeFrame({ kind: 'hello', ...frame }).head;
  };
  const oversize = hello();
  oversize.writeUInt32LE(0xffffffff, 8);
  const commit = encodeFrame({ kind: 'commit', migrationId: 'none', epoch: 1 }).head;
  const noise = Buffer.from(Array.from({ length: 4096 }, () => Math.floor(random() * 256)));
  // 22 is how a TLS handshake begins.
  noise[0] = 0;
  const strangers: Record<string, [bytes: Buffer, code: string]> = {
    noise: [noise, 'E_WIRE_GARBAGE'],
    'a peer that encrypts': [Buffer.concat([Buffer.of(22), noise]), 'E_TLS'],
    'a browser': [Buffer.from('GET / HTTP/1.1\r\nHost: trmig\r\n\r\n'), 'E_WIRE_GARBAGE'],
    'a frame of 4 GiB': [oversize, 'E_WIRE_OVERSIZE'],
    'half a frame': [hello().subarray(0, 25), 'E_PEER_GONE'],
    'a commit out of nowhere': [Buffer.concat([hello(), commit]), 'E_WIRE_GARBAGE'],
  };
  for (const [name, [bytes, code]] of Object.entries(strangers)) {
    const before = refused.length;
    await visit(taking.port, bytes);
    await until(`${name} is refused`, () => refused.length > before);
    t.equal(refused.at(-1), code, name);
  }
  const whole = Buffer.concat([hello(), commit]);
  for (let i = 0; i < 100; i++) await visit(taking.port, damaged(whole, random));
  t.same(leftOn(b), [], `TRMIG_SEED=${seed}`);
  const { phase, error } = await migrate(machine, { host: '127.0.0.1', port: taking.port, verify: false, policy });
  t.match({ phase, error }, { phase: { at: 'retired' }, error: null }, 'and it takes a machine afterwards');
  await waitForLines(b.machine('m').consoleLog, 3);
});

/** Says something and hangs up; resolves when the connection is gone. */
function visit(port: number, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.end(bytes));
    socket.on('error', () => undefined);
    socket.once('close', () => resolve());
    socket.resume();
  });
}

t.test('a destination whose QEMU is another one refuses', generously, async (t) => {
  const { a, b } = stage(t);
  const other = path.join(path.dirname(a.root), 'qemu');
  writeFileSync(other, '#!/bin/sh\necho "QEMU emulator version 9.2.0"\n', { mode: 0o755 });
  const machine = await boot(a, small);
  const taking = await receiver(t, b);
  const before = process.env['TRMIG_QEMU'];
  process.env['TRMIG_QEMU'] = other;
  t.teardown(() => {
    if (before === undefined) delete process.env['TRMIG_QEMU'];
    else process.env['TRMIG_QEMU'] = before;
  });
  const { phase, error } = await migrate(machine, { host: '127.0.0.1', port: taking.port, verify: false, policy });
  t.match({ phase, error }, { phase: { at: 'failed' }, error: { code: 'E_QEMU_VERSION', message: /9\.2\.0/ } });
  t.same((await machine.tracer.status()).pauses, [], 'the source was not touched');
  await until('the receiver has given up', () => taking.results.length > 0);
  t.same(leftOn(b), []);
  machine.close();
});

t.test('a disk that is full', { ...generously, skip: generously.skip || mayNotMount() }, async (t) => {
  const { a, folder } = stage(t);
  const machine = await boot(a, small);
  const { pid } = machine.process;

  await t.test('before the base is whole leaves no recording', async (t) => {
    const disk = smallDisk(t, folder, 4);
    const error = await errorOf(recordMachine(machine, path.join(disk, 'r'), recording()));
    t.match(error, { code: 'E_DISK_FULL' });
    t.notOk(existsSync(path.join(disk, 'r')), 'no folder is left');
    t.same(readdirSync(disk), []);
    await goesOn(t);
  });

  await t.test('while the log is written keeps what is whole', async (t) => {
    const disk = smallDisk(t, folder, 256);
    const dir = path.join(disk, 'r');
    let filled = false;
    const onProgress: RecordOptions['onProgress'] = ({ phase }) => {
      if (phase !== 'log' || filled) return;
      filled = true;
      // The base is read by now; soon it is whole, too.
      setTimeout(() => fill(path.join(disk, 'filler')), 2000);
    };
    const error = await errorOf(recordMachine(machine, dir, { ...recording(), onProgress }));
    t.match(error, { code: 'E_DISK_FULL' });
    await goesOn(t);
    const { problems, segments } = await verifyRecording(dir);
    t.comment(
      `${segments} segments are there; ${problems.map(({ code, message }) => `${code} ${message}`).join('; ')}`,
    );
    t.same(problems, [], 'and all of it is sound');
    t.ok(segments > 0, 'what was recorded can be read');
  });

  async function goesOn(t: Test): Promise<void> {
    await until('it is dormant', async () => (await machine.tracer.status()).mode === 'dormant');
    t.match(await machine.tracer.status(), { running: true, pace: 0, owned: true });
    await waitForLines(machine.consoleLog, 3);
    t.equal(discontinuity(consoleText(machine.consoleLog)), null, 'the guest goes on');
    t.same(leftBeside(a, pid), [], 'no frozen image is left');
  }
});

/** Until the disk is full: an hour. */
function recording(): RecordOptions {
  return { durationMs: 3_600_000 };
}

function mayNotMount(): string | false {
  return process.getuid?.() === 0 ? false : 'mounting a small disk needs root';
}

/** A file system of so many MiB, unmounted at the test's end. */
function smallDisk(t: Test, folder: string, mib: number): string {
  const disk = path.join(folder, `disk${mib}`);
  mkdirSync(disk);
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mib}m`, 'trmig-test', disk]);
  t.teardown(() => unmountThoseOf(disk));
  return disk;
}

/** Takes all that is left of a disk. */
function fill(file: string): void {
  for (let bytes = 1 << 24; bytes >= 1; bytes >>= 1) {
    try {
      for (;;) writeFileSync(file, Buffer.alloc(bytes, 1), { flag: 'a' });
    } catch {
      // Smaller pieces may still fit.
    }
  }
}
