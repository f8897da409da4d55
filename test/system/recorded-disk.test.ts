// A guest that writes to its disk is recorded with it: the replay reads and makes anew what was there and what was written, and
// neither the recording nor the machine's own disk is written to by it.
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { verifyRecording } from '../../src/log/index.js';
import { Machine, parseSpec, readDisks } from '../../src/machine/index.js';
import { recordMachine } from '../../src/migrate/record.js';
import { replayRecording } from '../../src/migrate/replay.js';
import { waitForLines } from './console.js';
import { generously, guestFile, stage } from './stage.js';

t.test('a guest with a disk is recorded and replayed', generously, async (t) => {
  const { a, b, folder } = stage(t);
  const file = join(folder, 'disk.raw');
  execFileSync('truncate', ['-s', '192M', file]);
  execFileSync('mkfs.ext4', ['-q', '-F', file]);
  const spec = {
    name: 'm',
    memory: '256M',
    kernel: guestFile('x86_64', 'vmlinuz'),
    initrd: guestFile('x86_64', 'initramfs.cpio.gz'),
    append: 'console=ttyS0 quiet workload=diskwriter disk_rate=20',
    disks: [{ file, format: 'raw' }],
  };
  const machine = await Machine.start(parseSpec(JSON.stringify(spec), { base: '/', source: 'test' }), { home: a });
  await waitForLines(machine.consoleLog, 3);
  const rec = join(folder, 'rec');
  const recorded = await recordMachine(machine, rec, { durationMs: 4_000 });
  t.equal(recorded.reason, 'duration');
  await waitForLines(machine.consoleLog, 3);
  t.same((await verifyRecording(rec)).problems, []);
  const part = join(rec, 'disk0.qcow2');
  const before = readFileSync(part);

  const digests = [];
  for (let round = 0; round < 2; round++) {
    const result = await replayRecording(rec, { home: b, verify: true });
    t.match(result, { state: 'ended', final: true, icount: recorded.endIcount });
    digests.push(result.digests);
  }
  t.same(digests[0], digests[1]);
  t.same(await b.machineNames(), [], 'a replay leaves nothing');
  t.ok(readFileSync(part).equals(before), 'the recording is as it was');

  const fork = await replayRecording(rec, { home: b, live: 'fork' });
  const copy = await Machine.open(fork.machine, { home: b });
  t.teardown(() => copy.stop({ graceful: false }));
  await waitForLines(copy.consoleLog, 3);
  t.match(await readDisks(copy.paths), [{ layers: [{ file: part, origin: 'backing' }, { origin: 'made' }] }]);
  await t.rejects(replayRecording(rec, { home: b, live: 'fork' }), { code: 'E_MACHINE_EXISTS' });
  t.equal(readdirSync(copy.paths.layers).length, 1, 'what was refused left no layer');

  // A recording from elsewhere may name what it likes: QEMU does not get to see it.
  execFileSync('sh', ['-c', 'cp -r "$1" "$2"', 'sh', rec, `${rec}-evil`]);
  const evil = Buffer.from(before);
  const name = Buffer.from('/etc/passwd');
  evil.writeBigUInt64BE(512n, 8);
  evil.writeUInt32BE(name.length, 16);
  name.copy(evil, 512);
  writeFileSync(join(`${rec}-evil`, 'disk0.qcow2'), evil);
  await t.rejects(replayRecording(`${rec}-evil`, { home: b }), { code: 'E_LAYER_REFUSED', message: /backing file/ });
  await machine.stop({ graceful: false });
});
