// A guest that writes to its disk all the while moves to another host and back. Its disk goes with it, nothing that it wrote is
// lost, and the way back is short.
import { execFileSync } from 'node:child_process';
import { createConnection } from 'node:net';
import path from 'node:path';
import { randomBytes } from 'node:crypto';
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import t from 'tap';
import type { Test } from 'tap';
import { exportDisk, findQemuImg } from '../../src/disk/index.js';
import {
  ARCHITECTURES,
  Machine,
  findQemu,
  parseSpec,
  readDisks,
  type Architecture,
  type Home,
  type MachineSpec,
} from '../../src/machine/index.js';
import { migrate } from '../../src/migrate/migrate.js';
import type { MigrationReport } from '../../src/migrate/report.js';
import { Transcript, consoleText, discontinuity, waitForLines } from './console.js';
import { generously, guestFile, receiver, stage, until, type TestReceiver } from './stage.js';

t.setTimeout(generously.timeout * 2);
const policy = { maxDowntimeMs: 100, timeoutMs: 30_000, onTimeout: 'switch', maxPace: 0.95 } as const;

const mib = 1024 * 1024;

/** An ext4 file system in a raw image, a third of it full of what does not compress. */
function makeDisk(folder: string, sizeMib: number): string {
  const [file, content] = [path.join(folder, 'data.raw'), path.join(folder, 'content')];
  mkdirSync(content);
  writeFileSync(path.join(content, 'old'), randomBytes((sizeMib / 3) * mib));
  writeFileSync(file, '');
  truncateSync(file, sizeMib * mib);
  execFileSync('/sbin/mkfs.ext4', ['-q', '-F', '-d', content, file]);
  return file;
}

function diskGuest(arch: Architecture, file: string, append: string): MachineSpec {
  const spec = {
    name: 'm',
    arch,
    memory: '256M',
    kernel: guestFile(arch, 'vmlinuz'),
    initrd: guestFile(arch, 'initramfs.cpio.gz'),
    append: `console=${arch === 'aarch64' ? 'ttyAMA0' : 'ttyS0'} quiet ${append}`,
    disks: [{ file, format: 'raw' }],
  };
  return parseSpec(JSON.stringify(spec), { base: '/', source: 'test' });
}

async function move(t: Test, from: Home, to: Home, listening: TestReceiver): Promise<MigrationReport> {
  const machine = await Machine.open('m', { home: from });
  t.teardown(() => machine.close());
  const arrivals = listening.results.length;
  const { report, error } = await migrate(machine, { host: '127.0.0.1', port: listening.port, verify: true, policy });
  const { base, disk, log } = report.bytes;
  t.comment(`downtime ${report.downtimeMs?.toFixed(1)} ms; base ${base}, disk ${disk}, log ${log} bytes`);
  if (error !== null) throw error; // There is nothing to go on with.
  t.match(report, { outcome: 'completed', owner: 'destination' });
  t.same(report.digests, { ram: 'equal', disks: 'equal', devices: 'equal', registers: 'equal' });
  await until('the receiver says how it went', () => listening.results.length > arrivals);
  t.match(listening.results.at(-1), { machine: 'm', phase: { at: 'live' }, error: null });
  await waitForLines(to.machine('m').consoleLog, 3);
  return report;
}

/** Says a word to the guest on its serial console, and waits for the answer. */
async function ask(home: Home, word: string, answer: RegExp): Promise<void> {
  const { consoleSocket, consoleLog } = home.machine('m');
  const console = createConnection(consoleSocket);
  console.on('error', () => undefined);
  console.write(`${word}\n`);
  await until(
    `the guest answers '${word}'`,
    () => answer.test(consoleText(consoleLog)) || consoleText(consoleLog).includes('CORRUPT'),
  );
  console.destroy();
}

for (const arch of ARCHITECTURES) {
  t.test(`an ${arch} guest with a disk moves to another host and back`, generously, async (t) => {
    const { a, b, folder } = stage(t);
    const receivers = { a: await receiver(t, a), b: await receiver(t, b) };
    const transcript = new Transcript();
    transcript.arrives(a);
    const file = makeDisk(folder, 192);
    const started = await Machine.start(diskGuest(arch, file, 'workload=diskwriter disk_rate=20'), { home: a });
    await waitForLines(started.consoleLog, 20);
    started.close();

    const there = await move(t, a, b, receivers.b);
    transcript.arrives(b, 0);
    t.ok(there.bytes.disk > 0, 'the frozen layer was sent');
    await ask(b, 'verify', /verify: ok \d+ records/);
    const kept = await readDisks(a.machine('m'));
    t.equal(kept?.[0]?.layers.length, 2, 'the source keeps what was frozen at the checkpoint and at the handover');

    const at = consoleText(a.machine('m').consoleLog).length;
    const back = await move(t, b, a, receivers.a);
    transcript.arrives(a, at);
    const share = back.bytes.disk / there.bytes.disk;
    t.ok(share < 0.05, `the way back took ${(share * 100).toFixed(2)} % of the disk's bytes`);
    await ask(a, 'verify', /verify: ok \d+ records/);
    t.equal(discontinuity(transcript.text), null);

    await ask(a, 'quit', /\/data is unmounted/);
    await until('the guest has powered off', async () => (await Machine.list({ home: a }))[0]?.state !== 'running');
    const qemuImg = await findQemuImg(await findQemu(diskGuest(arch, file, '')));
    const content = path.join(folder, 'content.raw');
    await exportDisk(qemuImg, (await readDisks(a.machine('m')))![0]!, content);
    execFileSync('/sbin/fsck.ext4', ['-fn', content]); // Throws for a file system that is not clean.
  });
}
