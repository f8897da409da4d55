// Brings disks.json in line with what a running QEMU does. It is ahead when a snapshot was prepared and did not happen, and
// behind when QEMU has merged layers since. Every command that is to change a machine's layers begins with this.
//
//   QEMU lacks layers at the top      they were never used: taken out, files and nodes removed
//   QEMU lacks layers in the middle   they were merged into the one below: it is synced, then lists them, then they go
//   QEMU has a layer on nothing       a destination that waits for the rest: left alone
//
// Invariant: a layer's file is removed only after a disks.json without it is on disk, and what swallowed it as well.
import { rm } from 'node:fs/promises';
import { TrmigError } from '../errors.js';
import { diskIncludesMax } from '../limits.js';
import {
  layerFileNode,
  layerNode,
  readDisks,
  writeDisks,
  type Layer,
  type MachineDisk,
  type MachinePaths,
  type QmpClient,
} from '../machine/index.js';
import { deleteNodes, readBlockGraph } from './block-graph.js';
import { syncFile } from './presync.js';

export interface Reconciled {
  readonly disks: readonly MachineDisk[];
  /** Layers that were prepared and never used. */
  readonly unused: readonly Layer[];
  /** Layers that QEMU has merged into the ones below them. */
  readonly merged: readonly Layer[];
  /** Disks whose top layer lies on nothing yet, though there is more of its chain. */
  readonly unattached: readonly number[];
}

/** What one disk's chain becomes, given the nodes that QEMU has under it, top to bottom. @throws E_DISKS */
export function reconcileDisk(
  disk: MachineDisk,
  nodes: readonly string[],
  where: string,
): Omit<Reconciled, 'disks'> & { disk: MachineDisk } {
  const strange = nodes.find((node) => !disk.layers.some(({ id }) => layerNode(id) === node));
  const inUse = disk.layers.filter(({ id }) => nodes.includes(layerNode(id)));
  const order = inUse.map(({ id }) => layerNode(id)).reverse();
  if (strange !== undefined || inUse.length === 0 || order.some((node, i) => node !== nodes[i])) {
    throw new TrmigError('E_DISKS', `${where} does not name the layers that QEMU uses: ${nodes.join(', ')}`, {
      facts: { strange: strange ?? null },
    });
  }
  const above = disk.layers.indexOf(inUse.at(-1)!) + 1;
  const unused = disk.layers.slice(above);
  const known = disk.layers.slice(0, above);
  if (inUse[0] !== disk.layers[0]) return { disk: { ...disk, layers: known }, unused, merged: [], unattached: [0] };
  const layers: Layer[] = [];
  const merged: Layer[] = [];
  for (const layer of known) {
    if (inUse.includes(layer)) {
      layers.push(layer);
      continue;
    }
    const { frozen: _, ...into } = layers.pop()!;
    layers.push({ ...into, includes: [...into.includes, layer.id, ...layer.includes].slice(-diskIncludesMax) });
    merged.push(layer);
  }
  return { disk: { ...disk, layers }, unused, merged, unattached: [] };
}

/**
 * Asks QEMU, mends disks.json, and removes what is no longer needed. The caller holds the machine, and no merge is under way.
 * @throws E_DISKS when QEMU uses layers that disks.json does not name; E_QMP_*, E_FILE_ACCESS
 */
export async function reconcile(qmp: QmpClient, paths: MachinePaths): Promise<Reconciled> {
  const recorded = await readDisks(paths);
  if (recorded === null) return { disks: [], unused: [], merged: [], unattached: [] };
  const graph = await readBlockGraph(qmp, recorded.length);
  const found = recorded.map((disk, i) => reconcileDisk(disk, graph.disks[i]!, `${paths.disks}, disk ${i},`));
  const result = {
    disks: found.map(({ disk }) => disk),
    unused: found.flatMap(({ unused }) => unused),
    merged: found.flatMap(({ merged }) => merged),
    unattached: found.flatMap(({ unattached }, i) => (unattached.length === 0 ? [] : [i])),
  };
  const gone = [...result.unused, ...result.merged];
  if (gone.length === 0) return result;
  for (const { disk, merged } of found) {
    const swallowed = new Set(merged.map(({ id }) => id));
    const into = disk.layers.filter(({ includes }) => includes.some((id) => swallowed.has(id)));
    for (const { file } of into) await syncFile(file);
  }
  await writeDisks(paths, result.disks);
  const upperFirst = gone.reverse().flatMap(({ id }) => [layerNode(id), layerFileNode(id)]);
  await deleteNodes(qmp, upperFirst, graph);
  for (const { file, origin } of gone) if (origin === 'made') await rm(file, { force: true });
  return result;
}
