// Layers under a real QEMU: a snapshot, what is undone, a destination whose layers come late, merging, kills.
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { attachLayers } from '../../src/disk/attach.js';
import { readBlockGraph } from '../../src/disk/block-graph.js';
import { contentDigest } from '../../src/disk/content.js';
import { cancelFlatten, finishFlatten, startFlatten } from '../../src/disk/flatten.js';
import { recordFrozen } from '../../src/disk/kept.js';
import { digestLayer } from '../../src/disk/layer-reader.js';
import { newTopLayer, prepareOverlays, snapshot, undo, type OverlayPlan } from '../../src/disk/overlay.js';
import { presync } from '../../src/disk/presync.js';
import { createOverlay, runQemuImg } from '../../src/disk/qemu-img.js';
import { reconcile } from '../../src/disk/reconcile.js';
import { layerNode } from '../../src/machine/disk-chain.js';
import { readDisks, type MachineDisk } from '../../src/machine/disks-file.js';
import { Machine } from '../../src/machine/machine.js';
import { parseQcow2Header } from '../../src/machine/qcow2-header.js';
import type { QmpClient } from '../../src/machine/qmp.js';
import { diskSpec, diskStage, mib, qemuImg, type DiskStage } from './stage.js';

interface Live extends DiskStage {
  readonly machine: Machine;
  readonly qmp: QmpClient;
}

/** A machine with a writable raw disk, a writable qcow2 disk and a read-only one. */
async function live(t: Test): Promise<Live> {
  const stage = diskStage(t);
  const file = (name: string): string => path.join(stage.folder, name);
  writeFileSync(file('a.raw'), Buffer.alloc(8 * mib, 'a'));
  await runQemuImg(qemuImg, ['create', '-q', '-f', 'qcow2', file('b.qcow2'), '16M']);
  writeFileSync(file('c.raw'), Buffer.alloc(mib, 'c'));
  const spec = diskSpec([
    { file: file('a.raw'), format: 'raw' },
    { file: file('b.qcow2'), format: 'qcow2' },
    { file: file('c.raw'), format: 'raw', readonly: true },
  ]);
  const machine = await Machine.start(spec, { home: stage.home, tracer: null });
  const qmp = await machine.openQmp();
  t.teardown(() => qmp.close());
  return { ...stage, machine, qmp };
}

const disksOf = async (at: DiskStage): Promise<MachineDisk[]> => (await readDisks(at.paths))!;

/** Writes to a disk as its guest would, through its device. */
async function write(at: Live, disk: number, from: number, bytes: number, pattern: number): Promise<void> {
  const device = `/machine/peripheral/disk${disk}-device/virtio-backend`;
  const line = `qemu-io -d ${device} "write -P ${pattern} ${from} ${bytes}"`;
  const wrote = (): number => readFileSync(at.paths.qemuLog, 'utf8').split(`wrote ${bytes}/${bytes} bytes`).length;
  const before = wrote();
  await at.qmp.execute('human-monitor-command', { 'command-line': line });
  // QEMU says how it went on its own output.
  if (wrote() === before) throw new Error(readFileSync(at.paths.qemuLog, 'utf8'));
}

async function checkpoint(at: Live): Promise<OverlayPlan> {
  const plan = await prepareOverlays({ qmp: at.qmp, paths: at.paths, disks: await disksOf(at), qemuImg });
  await presync(plan.before);
  await at.qmp.execute('stop');
  await snapshot(at.qmp, plan);
  await at.qmp.execute('cont');
  return plan;
}

async function digests(at: DiskStage): Promise<string[]> {
  const disks = await disksOf(at);
  return Promise.all(disks.map(async (disk) => (await contentDigest(qemuImg, disk, at.folder)).digest));
}

t.test('a checkpoint freezes every writable disk at once', async (t) => {
  const at = await live(t);
  await write(at, 0, 0, 65536, 1);
  await write(at, 1, 0, 65536, 2);
  const plan = await checkpoint(at);
  t.equal(plan.added.length, 2, 'the read-only disk needs no layer');
  const before = readFileSync(plan.before[0]!.layers[0]!.file);
  await write(at, 0, 4096, 4096, 3);
  await write(at, 1, 4096, 4096, 4);
  t.ok(readFileSync(plan.before[0]!.layers[0]!.file).equals(before), 'what is frozen is not written');
  t.same((await reconcile(at.qmp, at.paths)).disks, plan.after, 'disks.json says what QEMU does');
  await at.machine.stop();
  const there = await digests(at);
  const again = await Machine.start(at.machine.spec, { home: at.home, tracer: null });
  await again.stop();
  t.same(await digests(at), there, 'a start goes by the chain');
});

t.test('a snapshot that does not happen leaves nothing', async (t) => {
  const at = await live(t);
  const before = await disksOf(at);
  const plan = await prepareOverlays({ qmp: at.qmp, paths: at.paths, disks: before, qemuImg });
  t.equal(readdirSync(at.paths.layers).length, 2);
  t.same(await disksOf(at), plan.after, 'on record before it happens');
  await undo(at.qmp, at.paths, plan);
  t.same([await disksOf(at), readdirSync(at.paths.layers)], [before, []]);

  const second = await prepareOverlays({ qmp: at.qmp, paths: at.paths, disks: before, qemuImg });
  const found = await reconcile(at.qmp, at.paths);
  t.equal(found.unused.length, 2, 'one whose trmig was killed is found');
  t.same([found.disks, readdirSync(at.paths.layers)], [before, []]);
  await t.rejects(snapshot(at.qmp, second), { code: 'E_QMP_COMMAND' });

  const third = await checkpoint(at);
  await t.rejects(undo(at.qmp, at.paths, third), { code: 'E_DISKS', message: /is written to .* already/ });
});

t.test('a QEMU that dies between the record and the snapshot starts again with the same content', async (t) => {
  const at = await live(t);
  await write(at, 0, 0, 65536, 1);
  await write(at, 1, 65536, 65536, 1);
  await at.qmp.execute('stop');
  const content = await digests(at);
  await prepareOverlays({ qmp: at.qmp, paths: at.paths, disks: await disksOf(at), qemuImg });
  await at.machine.stop({ graceful: false });
  t.same(await digests(at), content);
  await (await Machine.start(at.machine.spec, { home: at.home, tracer: null })).stop();
  t.same(
    (await disksOf(at)).map(({ layers }) => layers.length),
    [2, 2, 1],
  );
});

t.test('a destination gets its frozen layers after it has started', async (t) => {
  const at = await live(t);
  await write(at, 0, 0, mib, 1);
  await checkpoint(at);
  await write(at, 0, 65536, mib, 2);
  await write(at, 1, 0, mib, 3);
  await at.machine.stop();
  const content = await digests(at);

  const there = diskStage(t, 'web');
  const chains: MachineDisk[] = [];
  for (const disk of await disksOf(at)) {
    const layer = newTopLayer(there.paths, disk);
    const size = disk.spec.file.endsWith('a.raw') ? 8 : disk.spec.file.endsWith('b.qcow2') ? 16 : 1;
    await createOverlay(qemuImg, layer.file, size * mib);
    chains.push({ ...disk, layers: [...disk.layers, layer] });
  }
  const disks = { chains, topsOnly: true };
  const machine = await Machine.start(at.machine.spec, { home: there.home, tracer: null, paused: true, disks });
  await machine.withQmp(async (qmp) => {
    const graph = await readBlockGraph(qmp, 3);
    t.same(
      graph.disks.map((nodes) => nodes.length),
      [1, 1, 1],
    );
    t.same((await reconcile(qmp, there.paths)).unattached, [0, 1, 2]);
    await attachLayers(qmp, chains);
    await attachLayers(qmp, chains);
    const attached = await readBlockGraph(qmp, 3);
    t.same(
      attached.disks,
      chains.map(({ layers }) => layers.map(({ id }) => layerNode(id)).reverse()),
    );
    t.same((await reconcile(qmp, there.paths)).unattached, []);
    await qmp.execute('cont');
    const arrived: Live = { ...there, machine, qmp };
    t.same(await digests(there), content, 'and with them the same content');
    await write(arrived, 0, 0, 4096, 9);
    await t.rejects(
      attachLayers(
        qmp,
        chains.map((disk) => ({ ...disk, layers: disk.layers.slice(0, -1) })),
      ),
      {
        code: 'E_DISKS',
      },
    );
  });
  await machine.stop();
  t.same(await digests(at), content, 'what was frozen is not written');
  t.notSame((await digests(there))[0], content[0]);
});

t.test('an attachment that fails leaves the top layer as it was', async (t) => {
  const at = await live(t);
  await at.machine.stop();
  const there = diskStage(t, 'web');
  const [disk] = await disksOf(at);
  const layer = newTopLayer(there.paths, disk!);
  await createOverlay(qemuImg, layer.file, 8 * mib);
  const missing = { ...disk!.layers[0]!, id: layer.id.replace(/^..../, '0000'), format: 'qcow2' as const };
  const chain = { ...disk!, layers: [disk!.layers[0]!, missing, layer] };
  const spec = diskSpec([disk!.spec]);
  const disks = { chains: [chain], topsOnly: true };
  const machine = await Machine.start(spec, { home: there.home, tracer: null, paused: true, disks });
  await machine.withQmp(async (qmp) => {
    await t.rejects(attachLayers(qmp, [chain]), { code: 'E_QMP_COMMAND' });
    const graph = await readBlockGraph(qmp, 1);
    t.equal([...graph.nodes].filter((node) => /^(layer|file)-/.test(node)).length, 2);
    const whole = { ...chain, layers: [disk!.layers[0]!, layer] };
    await attachLayers(qmp, [whole]);
    t.equal((await readBlockGraph(qmp, 1)).disks[0]!.length, 2);
  });
});

/** Three layers with something in each. */
async function layered(t: Test): Promise<Live> {
  const at = await live(t);
  for (const round of [1, 2, 3]) {
    await write(at, 0, round * 65536, mib, round);
    await write(at, 1, round * 65536, 4 * mib, round + 10);
    await checkpoint(at);
  }
  await write(at, 1, 12345 * 512, 512, 99);
  return at;
}

t.test('layers are merged under a running machine', async (t) => {
  const at = await layered(t);
  const before = await disksOf(at);
  t.same(
    before.map(({ layers }) => layers.length),
    [4, 4, 1],
  );
  await at.qmp.execute('stop');
  const content = await digests(at);
  await at.qmp.execute('cont');
  const { qmp, paths } = at;
  t.equal(await startFlatten({ qmp, paths, recent: 0 }), 2);
  const merged = await finishFlatten(qmp, paths);
  t.equal(merged.merged.length, 4);
  const after = await disksOf(at);
  t.same(
    after.map(({ layers }) => layers.length),
    [2, 2, 1],
  );
  t.same(
    after[1]!.layers[0]!.includes,
    before[1]!.layers.slice(1, 3).map(({ id }) => id),
  );
  for (const { file } of merged.merged) t.notOk(existsSync(file));
  const names = [...(await readBlockGraph(qmp, 3)).nodes].filter((name) => name.startsWith('layer-'));
  t.equal(names.length, 5, 'and QEMU has no node left of them');
  const header = parseQcow2Header(readFileSync(after[1]!.layers[1]!.file));
  t.match(header, { backingFile: null }, 'QEMU wrote no name into the layer above');
  await qmp.execute('stop');
  t.same(await digests(at), content);
  t.equal((await reconcile(qmp, paths)).merged.length, 0);
  t.equal(await startFlatten({ qmp, paths, recent: 0 }), 0, 'nothing is left to merge');
});

t.test('what is on record of the files of layers is right after a merge, too', async (t) => {
  const at = await layered(t);
  const { qmp, paths } = at;
  const frozen = (await disksOf(at)).flatMap(({ layers }) => layers.slice(0, -1));
  await recordFrozen(
    paths,
    new Map(await Promise.all(frozen.map(async (one) => [one.id, await digestLayer(one)] as const))),
  );
  await startFlatten({ qmp, paths, recent: 1 });
  t.equal((await finishFlatten(qmp, paths)).merged.length, 2);
  const known = (await disksOf(at)).flatMap(({ layers }) => layers.filter((layer) => layer.frozen !== undefined));
  for (const layer of known) t.match(await digestLayer(layer), layer.frozen!, layer.file);
  await checkpoint(at);
  const { disks } = await reconcile(qmp, paths);
  t.same(
    disks.map(({ layers }) => layers.length),
    [4, 4, 1],
  );
});

t.test('a merge that is cancelled can be done again', async (t) => {
  const at = await layered(t);
  const before = await disksOf(at);
  await at.qmp.execute('stop');
  const content = await digests(at);
  const { qmp, paths } = at;
  const { id, file } = before[0]!.layers[0]!;
  await recordFrozen(paths, new Map([[id, await digestLayer({ file })]]));
  await startFlatten({ qmp, paths, recent: 0, bytesPerSecond: mib / 2 });
  const cancelled = await cancelFlatten(qmp, paths);
  t.equal(cancelled.disks[0]!.layers[0]!.frozen, undefined, 'what was on record of its file is so no longer');
  t.equal(cancelled.merged.length, 0, 'it had not ended by itself');
  t.same(cancelled.disks, before);
  t.same(await digests(at), content);
  await startFlatten({ qmp, paths, recent: 0 });
  await finishFlatten(qmp, paths);
  t.same(await digests(at), content);
});

t.test('a QEMU that is killed while it merges has lost nothing', async (t) => {
  const at = await layered(t);
  await at.qmp.execute('stop');
  const content = await digests(at);
  await at.qmp.execute('cont');
  const { qmp, paths } = at;
  await startFlatten({ qmp, paths, recent: 0, bytesPerSecond: mib });
  await new Promise((resolve) => setTimeout(resolve, 400));
  t.match(await qmp.execute('query-jobs'), [{ status: 'running' }, { status: 'running' }]);
  await at.machine.stop({ graceful: false });
  t.same(await digests(at), content, 'midway');
  const again = await Machine.start(at.machine.spec, { home: at.home, tracer: null });
  await again.withQmp(async (second) => {
    await startFlatten({ qmp: second, paths, recent: 0 });
    // Killed after QEMU has merged and before it is on record.
    for (;;) {
      const jobs = (await second.execute('query-jobs')) as { status: string }[];
      if (jobs.every(({ status }) => status === 'concluded')) break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  });
  await again.stop({ graceful: false });
  t.same(await digests(at), content, 'merged, not on record');
  t.same(
    (await disksOf(at)).map(({ layers }) => layers.length),
    [4, 4, 1],
  );
  const third = await Machine.start(at.machine.spec, { home: at.home, tracer: null });
  await third.withQmp(async (last) => {
    await startFlatten({ qmp: last, paths, recent: 0 });
    await finishFlatten(last, paths);
  });
  await third.stop();
  t.same(await digests(at), content);
});
