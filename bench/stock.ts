// QEMU's command line for a machine that trmig will have nothing to do with: the same devices on the same board, without what
// lies beneath them for a replay. What QEMU's own migration is compared with must not pay for that.
import { layerNode, replayNode, type DiskChain } from '../src/machine/index.js';

/** Any id will do where there is one layer for ever. */
const layerId = '0b5e55ed-0000-4000-8000-000000000001';

/** The node of a stock machine's only disk. */
export const stockDiskNode = layerNode(layerId);

/** A disk that is one raw file. */
export function chainOf(file: string): DiskChain {
  const layer = { id: layerId, file, format: 'raw', includes: [], origin: 'spec', shared: false } as const;
  return { readonly: false, layers: [layer] };
}

/** Takes blkreplay and filter-replay out of the arguments that trmig would start a machine with. */
export function stockArguments(args: readonly string[]): string[] {
  const stock: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const [option, value = ''] = [args[i]!, args[i + 1]];
    const replays =
      (option === '-blockdev' && value.includes('"driver":"blkreplay"')) ||
      (option === '-object' && value.startsWith('filter-replay,'));
    if (replays) i++;
    else stock.push(option.replace(`drive=${replayNode(0)},`, `drive=${stockDiskNode},`));
  }
  return stock;
}
