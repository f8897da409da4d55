// What a host still has of a machine that left it, and what it may delete. On paper, and with files.
import { existsSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { flattenPlan } from '../../src/disk/flatten.js';
import { arrivingDisk, commonBeginning, filesBeside, keptLayers, leaveDisks, ownLayers, recordFrozen, removeGarbage } from '../../src/disk/kept.js'; // prettier-ignore
import { digestLayer } from '../../src/disk/layer-reader.js';
import { newTopLayer } from '../../src/disk/overlay.js';
import { createOverlay } from '../../src/disk/qemu-img.js';
import { checkSharedLayers } from '../../src/disk/offered-paths.js';
import { reconcileDisk } from '../../src/disk/reconcile.js';
import { layerNode } from '../../src/machine/disk-chain.js';
import { readDisks, writeDisks, type MachineDisk } from '../../src/machine/disks-file.js';
import { disksForStart } from '../../src/machine/start-disks.js';
import { seeded } from '../machine/random.js';
import { diskStage, idOf, mib, paperDisk, qemuImg, type DiskStage } from './stage.js';

const layers = (...ids: number[][]): MachineDisk['layers'] => paperDisk(ids).layers;

t.test('the common beginning of two chains is found whatever was merged on either side', (t) => {
  const common = (a: number[][], b: number[][]): number[] => {
    const { kept, wanted } = commonBeginning(layers(...a), layers(...b));
    return [kept, wanted];
  };
  t.same(common([[1], [2]], [[1], [2], [3]]), [2, 2]);
  t.same(common([[1], [2], [9]], [[1], [2], [3]]), [2, 2], 'they part');
  t.same(common([[1, 2]], [[1], [2], [3]]), [1, 2], 'merged here');
  t.same(common([[1], [2], [3]], [[1, 2], [3]]), [3, 2], 'merged there');
  t.same(common([[1]], [[1, 2], [3]]), [0, 0], 'what was merged there is not to be had without the rest');
  t.same(common([[1, 2, 3]], [[1], [2]]), [0, 0], 'this host has too much in one');
  t.same(common([[1], [2, 3], [4]], [[1, 2], [3, 4], [5]]), [3, 2]);
  t.same(common([], [[1]]), [0, 0]);
  t.same(common([[2]], [[1]]), [0, 0]);
  t.end();
});

t.test('what a guest wrote is known to be in the layers that trmig made, while it lives here', async (t) => {
  const { paths } = diskStage(t);
  t.same(await ownLayers(paths), [], 'no disks');
  await writeDisks(paths, [paperDisk([[1], [2]])]);
  t.same(await ownLayers(paths), ['/h/2']);
  await writeDisks(paths, [paperDisk([[1], [2]], { left: true })]);
  t.same(await ownLayers(paths), [], 'it lives elsewhere');
});

t.test('a common beginning holds the same layers on both sides, and no longer one does (2000 seeds)', (t) => {
  for (let seed = 1; seed <= 2000; seed++) {
    const random = seeded(seed);
    const chain = (length: number, odd: number): number[][] => {
      const merged: number[][] = [];
      for (let id = 1; id <= length; id++) {
        const name = id >= odd ? id + 100 : id;
        if (merged.length > 0 && random() < 0.4) merged.at(-1)!.push(name);
        else merged.push([name]);
      }
      return merged;
    };
    const mine = chain(Math.floor(random() * 8), 99);
    const theirs = chain(Math.floor(random() * 8), 1 + Math.floor(random() * 8));
    const found = commonBeginning(layers(...mine), layers(...theirs));
    let best = { kept: 0, wanted: 0 };
    for (let i = 1; i <= mine.length; i++) {
      for (let j = 1; j <= theirs.length; j++) {
        if (mine.slice(0, i).join() === theirs.slice(0, j).join()) best = { kept: i, wanted: j };
      }
    }
    if (found.kept !== best.kept || found.wanted !== best.wanted) t.fail(`seed ${seed}: ${JSON.stringify(found)}`);
  }
  t.end();
});

/** A machine whose disk has files of its own: a base and overlays, all read once. */
async function machineOf(stage: DiskStage, count: number): Promise<MachineDisk> {
  const base = path.join(stage.folder, 'root.raw');
  const paper = paperDisk(Array.from({ length: count }, (_, i) => [i + 1]));
  const disk = {
    ...paper,
    spec: { ...paper.spec, file: base },
    layers: paper.layers.map((layer, i) => ({
      ...layer,
      file: i === 0 ? base : path.join(stage.paths.layers, `${layer.id}.qcow2`),
    })),
  };
  for (const { file, id } of disk.layers) writeFileSync(file, `layer ${id}`);
  await writeDisks(stage.paths, [disk]);
  const frozen = await Promise.all(disk.layers.map(async (layer) => [layer.id, await digestLayer(layer)] as const));
  await recordFrozen(stage.paths, new Map(frozen));
  return (await readDisks(stage.paths))![0]!;
}

t.test('what is intact is kept, and what was touched is read again', async (t) => {
  const stage = diskStage(t);
  const disk = await machineOf(stage, 3);
  const kept = async (): Promise<number> => (await keptLayers(stage.paths))[0]!.length;
  t.equal(await kept(), 3);
  utimesSync(disk.layers[1]!.file, new Date(), new Date(5000));
  t.equal(await kept(), 3, 'touched, and the same');
  writeFileSync(disk.layers[1]!.file, `Layer ${disk.layers[1]!.id}`);
  t.equal(await kept(), 1, 'changed: neither it nor what lies on it');
  await writeDisks(stage.paths, [{ ...disk, layers: disk.layers.map(({ frozen: _, ...layer }) => layer) }]);
  t.equal(await kept(), 0, 'never read: nobody knows');
});

t.test('a machine leaves its frozen layers, and a start does not touch them', async (t) => {
  const stage = diskStage(t);
  const disk = await machineOf(stage, 3);
  await leaveDisks(stage.paths);
  await leaveDisks(stage.paths);
  const [left] = (await readDisks(stage.paths))!;
  t.match(left, { left: true });
  t.equal(left!.layers.length, 2, 'what was on top goes on elsewhere');
  t.notOk(existsSync(disk.layers[2]!.file));
  t.ok(existsSync(disk.layers[1]!.file));
  await t.rejects(disksForStart(stage.paths, [disk.spec]), { code: 'E_DISKS', message: /has moved away/ });
  t.same(filesBeside(stage.paths, [left!]), []);
});

t.test('what comes back takes what was kept', async (t) => {
  const stage = diskStage(t);
  await machineOf(stage, 3);
  await leaveDisks(stage.paths);
  const kept = (await keptLayers(stage.paths))[0]!;
  const there = paperDisk([[1], [2], [7], [8]]);
  const { disk, toShip } = arrivingDisk(stage.paths, there, kept);
  t.same(disk.layers.map(({ id }) => id), [1, 2, 7, 8].map(idOf)); // prettier-ignore
  t.same(disk.layers.slice(0, 2), kept, 'with the files of this host');
  t.same(toShip.map(({ id, file, origin }) => [id, file, origin]), [7, 8].map((n) => [idOf(n), path.join(stage.paths.layers, `${idOf(n)}.qcow2`), 'made'])); // prettier-ignore
  const shared = { ...there, layers: there.layers.map((layer) => ({ ...layer, shared: true })) };
  const none = arrivingDisk(stage.paths, shared, []);
  t.same(none.toShip, []);
  t.same(none.disk.layers, shared.layers, 'a shared layer stays where it is');
});

t.test('only what belongs to no disk is garbage', async (t) => {
  const stage = diskStage(t);
  const disk = await machineOf(stage, 2);
  await writeDisks(stage.paths, [{ ...disk, layers: [{ ...disk.layers[0]!, includes: [idOf(5)] }, disk.layers[1]!] }]);
  for (const name of [`${idOf(5)}.qcow2`, `${idOf(7)}.qcow2`, `${idOf(2)}.qcow2.partial`]) {
    writeFileSync(path.join(stage.paths.layers, name), '');
  }
  t.equal((await removeGarbage(stage.paths)).length, 3);
  t.same(readdirSync(stage.paths.layers), [`${idOf(2)}.qcow2`]);
});

t.test('the layers of a shared disk lie beside it, under a name of their own', (t) => {
  const { paths } = diskStage(t);
  const disk = paperDisk([[1]], { spec: { file: '/nfs/root.raw', format: 'raw', readonly: false, shared: true } });
  const [here, there] = [newTopLayer(paths, disk, idOf(2)), newTopLayer(paths, disk, idOf(2))];
  t.match(here, { shared: true, file: /^\/nfs\/root\.raw\.00000002-.{8}\.qcow2$/ });
  t.not(here.file, there.file, 'the same layer on two hosts has two files');
  t.same(filesBeside(paths, [{ ...disk, layers: [...disk.layers, here] }]), [here.file]);
  const device = paperDisk([[1]], { spec: { ...disk.spec, file: '/dev/vg/root' } });
  t.match(newTopLayer(paths, device, idOf(2)), { shared: false, file: path.join(paths.layers, `${idOf(2)}.qcow2`) });
  t.end();
});

t.test('disks.json follows QEMU', (t) => {
  const node = (n: number): string => layerNode(idOf(n));
  const disk = paperDisk([[1], [2], [3], [4]]);
  const found = (...ids: number[]): ReturnType<typeof reconcileDisk> => reconcileDisk(disk, ids.map(node), 'x');
  t.same(found(4, 3, 2, 1).disk, disk);
  t.match(found(3, 2, 1), { unused: [{ id: idOf(4) }], merged: [], unattached: [] });
  const merged = found(4, 1);
  t.same(merged.disk.layers.map(({ id, includes }) => [id, ...includes]), [[1, 2, 3], [4]].map((ids) => ids.map(idOf))); // prettier-ignore
  t.match(merged, { merged: [{ id: idOf(2) }, { id: idOf(3) }], unused: [] });
  t.match(found(3, 1), { merged: [{ id: idOf(2) }], unused: [{ id: idOf(4) }] });
  t.match(found(4), { unattached: [0], merged: [], unused: [] });
  t.throws(() => found(9, 1), { code: 'E_DISKS' });
  t.throws(() => found(1, 2), { code: 'E_DISKS' }, 'in another order');
  t.throws(() => found(), { code: 'E_DISKS' });
  t.end();
});

t.test('what is merged lies between the lowest layer of the machine and its newest ones', (t) => {
  const plan = (disk: MachineDisk, recent: number): unknown => {
    const found = flattenPlan(disk, recent);
    return found && [found.into.id, ...found.merged.map(({ id }) => id)].map((id) => Number(id.slice(0, 8)));
  };
  t.same(plan(paperDisk([[1], [2], [3], [4]]), 0), [1, 3, 2]);
  t.equal(plan(paperDisk([[1], [2]]), 0), null, 'the top is never merged');
  t.equal(plan(paperDisk([[1], [2], [3]], { readonly: true }), 0), null);
  t.same(plan(paperDisk([[1], [2], [3], [4], [5], [6]]), 2), [1, 3, 2]);
  t.equal(plan(paperDisk([[1], [2], [3], [4], [5]]), 2), null, 'one alone is not worth it');
  const borrowed = paperDisk([[1], [2], [3], [4]]);
  const onBacking = {
    ...borrowed,
    layers: borrowed.layers.map((layer, i) => (i === 0 ? { ...layer, origin: 'backing' as const } : layer)),
  };
  t.same(plan(onBacking, 0), [2, 3], 'a backing file is not written to');
  t.end();
});

t.test('a machine that goes around, merging as it goes, always needs only what is new (500 seeds)', (t) => {
  for (let seed = 1; seed <= 500; seed++) {
    const random = seeded(seed);
    const hosts: MachineDisk['layers'][] = [[], [], [], []];
    let [chain, newest] = [layers([1]), 1];
    for (let hop = 1; hop <= 40; hop++) {
      // It leaves its frozen layers, and goes on with new ones; some tries fail.
      for (let added = 1 + Math.floor(random() * 2); added > 0; added--) chain = [...chain, ...layers([++newest])];
      hosts[hop % 3] = chain;
      const plan = flattenPlan(paperDisk([], { layers: [...chain, ...layers([newest + 1])] }), 6);
      if (plan !== null) {
        const includes = plan.merged.flatMap(({ id, includes: more }) => [...more, id]).reverse();
        chain = [
          { ...plan.into, includes: [...plan.into.includes, ...includes] },
          ...chain.slice(plan.merged.length + 1),
        ];
      }
      const { kept, wanted } = commonBeginning(hosts[(hop + 1) % 3]!, chain);
      if (hop >= 3 && (kept === 0 || wanted === 0)) t.fail(`seed ${seed}, hop ${hop}: all of it would be sent`);
      if (chain.length > 15) t.fail(`seed ${seed}, hop ${hop}: ${chain.length} layers`);
    }
  }
  t.end();
});

t.test('a shared layer lies where the shared disk does, or is refused', async (t) => {
  const { folder, paths } = diskStage(t);
  const file = path.join(folder, 'root.raw');
  writeFileSync(file, Buffer.alloc(mib));
  const spec = { file, format: 'raw', readonly: false, shared: true } as const;
  const base = { ...paperDisk([[1]]).layers[0]!, file, shared: true };
  const over = newTopLayer(paths, paperDisk([[1]], { spec }), idOf(2));
  const disk = (...of: MachineDisk['layers']): MachineDisk => ({ spec, readonly: false, layers: of });
  await createOverlay(qemuImg, over.file, mib);
  await t.resolves(checkSharedLayers(disk(base, over), mib));
  await t.rejects(checkSharedLayers(disk(base, over), 2 * mib), { code: 'E_LAYER_REFUSED' }, 'of another size');
  const refused = { code: 'E_LAYER_REFUSED', message: /is not the shared disk/ };
  await t.rejects(checkSharedLayers(disk({ ...base, file: '/etc/shadow' }), mib), refused);
  await t.rejects(checkSharedLayers(disk(base, { ...over, file: `${file}.x/../../etc/shadow` }), mib), refused);
  const own = { ...disk(base), spec: { ...spec, shared: false } };
  await t.rejects(checkSharedLayers(own, mib), refused, 'a disk that is not shared has no shared layers');
  await t.resolves(checkSharedLayers(disk({ ...base, shared: false, file: '/h/1' }), mib), 'its path is not used here');
});
