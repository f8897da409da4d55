// The destination of a checkpoint starts QEMU before the frozen layers have come: each disk is its new, empty top layer alone.
// Once they are there they are put beneath it, while the guest has not run yet.
import { TrmigError } from '../errors.js';
import { formatNode, layerNode, layerNodes, topLayer, type MachineDisk, type QmpClient } from '../machine/index.js';
import { addNode, deleteNodes, readBlockGraph } from './block-graph.js';

/**
 * Puts the frozen layers beneath the top layers of a QEMU that was started with `topsOnly`. The guest must not have run. Doing
 * it again does nothing. When it throws, the frozen layers are not open.
 * @param disks the whole chains; every file is there, and those that came from elsewhere have passed `checkReceivedLayer`
 * @throws E_DISKS when QEMU has another top layer, E_QMP_*
 */
export async function attachLayers(
  qmp: QmpClient,
  disks: readonly MachineDisk[],
  options: { readonly signal?: AbortSignal } = {},
): Promise<void> {
  const before = await readBlockGraph(qmp, disks.length, options);
  for (const [i, disk] of disks.entries()) {
    const found = before.disks[i]!;
    const wanted = disk.layers.map(({ id }) => layerNode(id)).reverse();
    if (found.join() === wanted.join()) continue;
    if (found.join() !== wanted[0]) {
      throw new TrmigError('E_DISKS', `disk ${i} of QEMU is ${found.join(', ')}, and not ${wanted[0]} alone`);
    }
    await attachDisk(qmp, disk, options.signal);
  }
}

async function attachDisk(qmp: QmpClient, disk: MachineDisk, signal: AbortSignal | undefined): Promise<void> {
  const frozen = disk.layers.slice(0, -1);
  const added: string[] = [];
  try {
    let backing: string | null = null;
    for (const layer of frozen) {
      for (const node of layerNodes(layer, { readonly: true, backing })) {
        await addNode(qmp, node, signal);
        added.unshift(node['node-name']);
      }
      backing = layerNode(layer.id);
    }
    const top = formatNode(topLayer(disk), { readonly: disk.readonly, backing });
    await qmp.execute('blockdev-reopen', { options: [top] }, { signal });
  } catch (thrown) {
    await removeAdded(qmp, added).catch(() => undefined);
    throw thrown;
  }
}

/** Upper nodes first. One that is in use after all (the reply was lost) stays, and those beneath it. */
async function removeAdded(qmp: QmpClient, names: readonly string[]): Promise<void> {
  await deleteNodes(qmp, names, { disks: [], nodes: new Set(names) });
}
