// A real guest that writes to its disk all the while: checkpoints, merging and a kill must lose nothing that it has flushed.
import { existsSync, readFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import t from 'tap';
import { exportDisk } from '../../src/disk/content.js';
import { finishFlatten, startFlatten } from '../../src/disk/flatten.js';
import { prepareOverlays, snapshot } from '../../src/disk/overlay.js';
import { presync } from '../../src/disk/presync.js';
import { runQemuImg } from '../../src/disk/qemu-img.js';
import { readDisks } from '../../src/machine/disks-file.js';
import { Machine } from '../../src/machine/machine.js';
import { diskSpec, diskStage, mib, qemuImg } from './stage.js';

const guest = (name: string): string => path.resolve('out/guests/x86_64', name);
const regions = 8;

/** Each round fills one MiB of the disk with its own number, flushes, and only then says so. */
const script =
  `i=0; while :; do i=$((i+1)); yes "round $i" | head -c ${mib} | ` +
  `dd of=/dev/vda bs=64k seek=$((i % ${regions} * 16)) conv=fsync,notrunc 2>/dev/null; echo "done" "$i"; done`;

t.test(
  'checkpoints and merges under a guest that writes',
  { timeout: 300_000, skip: !existsSync(guest('vmlinuz')) && 'run make guests' },
  async (t) => {
    const stage = diskStage(t);
    const { paths, home, folder } = stage;
    const file = path.join(folder, 'root.qcow2');
    await runQemuImg(qemuImg, ['create', '-q', '-f', 'qcow2', file, '64M']);
    const boot = {
      kernel: guest('vmlinuz'),
      initrd: guest('initramfs.cpio.gz'),
      append: 'console=ttyS0 quiet workload=shell',
    };
    const spec = diskSpec([{ file, format: 'qcow2' }], { memory: '256M', ...boot });
    const machine = await Machine.start(spec, { home, tracer: null });
    const said = (): string => (existsSync(machine.consoleLog) ? readFileSync(machine.consoleLog, 'utf8') : '');
    const rounds = (): number => Number([...said().matchAll(/^done (\d+)$/gm)].at(-1)?.[1] ?? 0);
    const until = async (holds: () => boolean): Promise<void> => {
      while (!holds()) await new Promise((resolve) => setTimeout(resolve, 20));
    };
    await until(() => said().includes('# '));
    const console = net.connect(machine.paths.consoleSocket);
    t.teardown(() => console.destroy());
    console.write(`${script}\n`);
    await until(() => rounds() >= 3);

    const qmp = await machine.openQmp();
    t.teardown(() => qmp.close());
    const checkpoint = async (): Promise<void> => {
      const plan = await prepareOverlays({ qmp, paths, disks: (await readDisks(paths))!, qemuImg });
      await presync(plan.before);
      const begun = performance.now();
      await qmp.execute('stop');
      const stopped = performance.now();
      await snapshot(qmp, plan);
      const done = performance.now();
      await qmp.execute('cont');
      t.comment(`stop ${(stopped - begun).toFixed(1)} ms, snapshot ${(done - stopped).toFixed(1)} ms`);
      const seen = rounds();
      await until(() => rounds() >= seen + 3);
    };
    for (let i = 0; i < 4; i++) await checkpoint();
    t.equal((await readDisks(paths))![0]!.layers.length, 5);
    await startFlatten({ qmp, paths, recent: 0 });
    await finishFlatten(qmp, paths);
    t.equal((await readDisks(paths))![0]!.layers.length, 2);
    await checkpoint();
    const last = rounds();
    await machine.stop({ graceful: false });

    const content = path.join(folder, 'content.raw');
    await exportDisk(qemuImg, (await readDisks(paths))![0]!, content);
    const disk = readFileSync(content);
    const expected = (round: number): Buffer =>
      Buffer.from(`round ${round}\n`.repeat(Math.ceil(mib / 8))).subarray(0, mib);
    t.ok(last > 15, `${last} rounds`);
    for (let round = last; round > last - regions; round--) {
      const at = (round % regions) * mib;
      const found = disk.subarray(at, at + mib);
      // A later round may have been under way when QEMU was killed: what it wrote is in its place, the rest is the last one's.
      const under = round === last - regions + 1 || round === last - regions + 2;
      if (!under) t.ok(found.equals(expected(round)), `round ${round} is on the disk`);
    }
  },
);
