// A checkpoint freezes the disks: each writable one gets an empty layer on top, all at once, while the VM is stopped. All that
// takes time is done before the stop; the snapshot itself is one command.
//
//   prepareOverlays   files made and synced → disks.json names them (an empty layer on top changes nothing, so a start after
//                     a crash is right either way) → QEMU has their nodes, under no disk yet
//   snapshot          in the stop: they go on top. What was on top is frozen from here on
//   undo              instead of it, or after it was refused: nodes, disks.json and files as before
//
// Who is killed in between leaves disks.json ahead of QEMU; `reconcile` settles that. One process at a time changes a
// machine's layers: its callers hold the machine.
import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { TrmigError } from '../errors.js';
import { diskLayersMax } from '../limits.js';
import { fileError } from '../log/files.js';
import {
  layerFileNode,
  layerNode,
  layerNodes,
  topLayer,
  writeDisks,
  type Layer,
  type MachineDisk,
  type MachinePaths,
  type QmpClient,
} from '../machine/index.js';
import { addNode, deleteNodes, readBlockGraph } from './block-graph.js';
import { createOverlay } from './qemu-img.js';

/** New top layers, made but not in use. */
export interface OverlayPlan {
  readonly before: readonly MachineDisk[];
  readonly after: readonly MachineDisk[];
  /** By disk; a read-only disk needs none. */
  readonly added: readonly { readonly disk: number; readonly layer: Layer; readonly onto: Layer }[];
}

export interface OverlayOptions {
  readonly qmp: QmpClient;
  readonly paths: MachinePaths;
  readonly disks: readonly MachineDisk[];
  readonly qemuImg: string;
  /** Of the new layers, by disk; new ones when left out. */
  readonly ids?: readonly string[];
  readonly signal?: AbortSignal;
}

/**
 * A new, empty top layer for a disk of this host; its file is not made yet. It lies beside a shared disk's file, under a name
 * that no other host has, so that it is shared too; else in the machine's folder.
 * @param id of the layer; the destination of a checkpoint gives its own new layer the source's id
 */
export function newTopLayer(paths: MachinePaths, disk: MachineDisk, id: string = randomUUID()): Layer {
  const { file, shared } = disk.spec;
  // Nothing can be put beside a block device.
  const beside = shared && !file.startsWith('/dev/');
  return {
    id,
    file: beside
      ? `${file}.${id.slice(0, 8)}-${randomUUID().slice(0, 8)}.qcow2`
      : path.join(paths.layers, `${id}.qcow2`),
    format: 'qcow2',
    includes: [],
    origin: 'made',
    shared: beside,
  };
}

/** Makes the folder of a machine's own layers. @throws E_FILE_ACCESS, E_DISK_FULL */
export async function makeLayerFolder(paths: MachinePaths): Promise<void> {
  await mkdir(paths.layers, { recursive: true, mode: 0o700 }).catch((cause: unknown) => {
    throw fileError(cause, paths.layers);
  });
}

/**
 * Makes the new top layers and tells QEMU about them. When it throws, all is as before.
 * @throws E_QEMU_IMG, E_QMP_*, E_DISKS, E_FILE_ACCESS, E_DISK_FULL, E_ABORTED
 */
export async function prepareOverlays(options: OverlayOptions): Promise<OverlayPlan> {
  const { qmp, paths, disks, qemuImg, ids, signal } = options;
  const writable = disks.flatMap((disk, i) =>
    disk.readonly ? [] : [{ disk: i, layer: newTopLayer(paths, disk, ids?.[i]) }],
  );
  const added = writable.map((one) => ({ ...one, onto: topLayer(disks[one.disk]!) }));
  const full = added.find(({ disk }) => disks[disk]!.layers.length >= diskLayersMax);
  if (full) {
    throw new TrmigError('E_DISKS', `disk ${full.disk} has ${diskLayersMax} layers: merge some before the next`);
  }
  const after = disks.map((disk, i) => {
    const layer = added.find((one) => one.disk === i)?.layer;
    return layer === undefined ? disk : { ...disk, layers: [...disk.layers, layer] };
  });
  const plan = { before: disks, after, added };
  if (added.length === 0) return plan;
  try {
    const sizes = await diskSizes(qmp, signal);
    await makeLayerFolder(paths);
    for (const { layer, onto } of added) {
      const bytes = sizes.get(layerNode(onto.id));
      if (bytes === undefined) throw new TrmigError('E_DISKS', `QEMU has no layer ${onto.id} (${onto.file})`);
      await createOverlay(qemuImg, layer.file, bytes, { signal });
    }
    await writeDisks(paths, after);
    for (const { layer } of added) {
      for (const node of layerNodes(layer, { readonly: false, backing: null })) await addNode(qmp, node, signal);
    }
    return plan;
  } catch (thrown) {
    await undo(qmp, paths, plan).catch(() => undefined);
    throw thrown;
  }
}

/**
 * Puts the new layers on top of all disks at once. The VM is stopped and its disks are quiet.
 * @throws E_QMP_COMMAND when QEMU refused, for all of them: `undo`; E_QMP_TIMEOUT, E_QMP_CLOSED when nobody knows:
 *   `reconcile`
 */
export async function snapshot(
  qmp: QmpClient,
  plan: OverlayPlan,
  options: { readonly signal?: AbortSignal } = {},
): Promise<void> {
  if (plan.added.length === 0) return;
  const actions = plan.added.map(({ layer, onto }) => ({
    type: 'blockdev-snapshot',
    data: { node: layerNode(onto.id), overlay: layerNode(layer.id) },
  }));
  await qmp.execute('transaction', { actions }, options);
}

/** Takes the new layers away again, which no disk uses. @throws E_DISKS when one is in use, E_QMP_*, E_FILE_ACCESS */
export async function undo(qmp: QmpClient, paths: MachinePaths, plan: OverlayPlan): Promise<void> {
  const graph = await readBlockGraph(qmp, plan.before.length);
  const used = plan.added.find(({ disk, layer }) => graph.disks[disk]!.includes(layerNode(layer.id)));
  if (used) throw new TrmigError('E_DISKS', `disk ${used.disk} is written to ${used.layer.file} already`);
  await deleteNodes(
    qmp,
    plan.added.flatMap(({ layer }) => [layerNode(layer.id), layerFileNode(layer.id)]),
    graph,
  );
  await writeDisks(paths, plan.before);
  for (const { layer } of plan.added) await rm(layer.file, { force: true });
}

const nodesSchema = z.array(
  z.object({ 'node-name': z.string().optional(), image: z.object({ 'virtual-size': z.number().int() }) }),
);

/** The size of each node, in bytes, by its name. */
async function diskSizes(qmp: QmpClient, signal: AbortSignal | undefined): Promise<Map<string, number>> {
  const nodes = await qmp.query('query-named-block-nodes', nodesSchema, { flat: true }, { signal });
  return new Map(nodes.map((node) => [node['node-name'] ?? '', node.image['virtual-size']]));
}
