// A shared layer is opened where another host says that it lies. That must not become a way to read any file of this host: it
// lies where the spec's own disk does, or right beside it. Nor a way to remove one: only what lies beside it may be called
// made by trmig, which is what goes when the machine is removed.
import { TrmigError } from '../errors.js';
import { diskOfSpec, type MachineDisk } from '../machine/index.js';
import { checkReceivedLayer } from './layer-writer.js';

/**
 * Judges the shared layers of a disk that another host offers, before QEMU opens them.
 * @param virtualBytes the size of the guest's disk
 * @throws E_LAYER_REFUSED for one that is neither the spec's file, nor what that lies on, nor an overlay beside it, or that
 *   names other files; E_FILE_ACCESS when this host does not see it
 */
export async function checkSharedLayers(disk: MachineDisk, virtualBytes: number): Promise<void> {
  const shared = disk.layers.filter((layer) => layer.shared);
  if (shared.length === 0) return;
  const { file } = disk.spec;
  const own = disk.spec.shared ? new Set((await diskOfSpec(disk.spec)).layers.map((layer) => layer.file)) : new Set();
  for (const layer of shared) {
    if (own.has(layer.file) && layer.origin !== 'made') continue;
    const rest = layer.file.startsWith(`${file}.`) ? layer.file.slice(file.length) : '';
    if (!disk.spec.shared || !/^\.[0-9a-f]{8}-[0-9a-f]{8}\.qcow2$/.test(rest)) {
      const why = `'${layer.file}' is not the shared disk '${file}' and does not lie beside it`;
      throw new TrmigError('E_LAYER_REFUSED', `layer ${layer.id} is refused: ${why}`, { facts: { layer: layer.id } });
    }
    if (layer.origin !== 'made') {
      const why = `'${layer.file}' lies beside the shared disk, and is not called made`;
      throw new TrmigError('E_LAYER_REFUSED', `layer ${layer.id} is refused: ${why}`, { facts: { layer: layer.id } });
    }
    await checkReceivedLayer(layer, virtualBytes);
  }
}
