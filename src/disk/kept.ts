// A host that a machine has left keeps the machine's frozen layers. When the machine comes back, only the layers above the
// longest common beginning of the two chains have to cross the network.
//
// A layer's id stands for what it adds for the guest, and a machine has one history: below a layer of one id lies the same on
// every host, whatever the files' bytes; merging shows in `includes`. The digest is this host's own: it tells whether its file
// is still what it was when it was read from end to end, and only such a file is kept.
import { readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import {
  readDisks,
  writeDisks,
  type FrozenFile,
  type Layer,
  type MachineDisk,
  type MachinePaths,
} from '../machine/index.js';
import { digestLayer } from './layer-reader.js';

/** How much of a chain is on both sides, in layers of each side. */
export interface CommonBeginning {
  readonly kept: number;
  readonly wanted: number;
}

type Names = Pick<Layer, 'id' | 'includes'>;

/** Names what a chain holds up to this layer: the newest that was merged into it, or itself. Nothing else ever lies beneath. */
const newest = ({ id, includes }: Names): string => includes.at(-1) ?? id;

/** The longest beginning that two chains (bottom to top) have in common, whichever layers were merged on either side. */
export function commonBeginning(kept: readonly Names[], wanted: readonly Names[]): CommonBeginning {
  const theirs = wanted.map(newest);
  const last = kept.findLastIndex((layer) => theirs.includes(newest(layer)));
  return last < 0 ? { kept: 0, wanted: 0 } : { kept: last + 1, wanted: theirs.indexOf(newest(kept[last]!)) + 1 };
}

/** Whether a layer's file is still what it was when it was read. A changed time costs a reading. */
async function isIntact(layer: Layer, signal: AbortSignal | undefined): Promise<boolean> {
  const { frozen, file } = layer;
  const found = await stat(file, { bigint: true }).catch(() => null);
  if (frozen === undefined || found === null || Number(found.size) !== frozen.bytes) return false;
  if (String(found.mtimeNs) === frozen.mtimeNs) return true;
  const now = await digestLayer(layer, { ...(signal && { signal }) });
  return now.digest === frozen.digest;
}

/**
 * For each disk of a machine that does not run here, the layers from the bottom up that are still good. A shared layer counts:
 * it is not shipped in any case.
 * @throws E_DISKS, E_FILE_ACCESS, E_ABORTED
 */
export async function keptLayers(
  paths: MachinePaths,
  options: { readonly signal?: AbortSignal } = {},
): Promise<Layer[][]> {
  const disks = (await readDisks(paths)) ?? [];
  return Promise.all(
    disks.map(async ({ layers }) => {
      const kept: Layer[] = [];
      for (const layer of layers) {
        if (!layer.shared && !(await isIntact(layer, options.signal))) break;
        kept.push(layer);
      }
      return kept;
    }),
  );
}

/**
 * The chain of an arriving disk on this host: the kept layers that fit, then the rest, to be shipped into this machine's folder.
 * @param offered the disk as its source has it, bottom to top, without the source's own new top layer
 */
export function arrivingDisk(
  paths: MachinePaths,
  offered: MachineDisk,
  kept: readonly Layer[],
): { readonly disk: MachineDisk; readonly toShip: readonly Layer[] } {
  const common = commonBeginning(kept, offered.layers);
  const rest = offered.layers.slice(common.wanted).map((layer): Layer => {
    const { frozen: _, ...known } = layer;
    if (layer.shared) return known;
    return { ...known, file: path.join(paths.layers, `${layer.id}.${layer.format}`), origin: 'made' };
  });
  const disk = { ...offered, layers: [...kept.slice(0, common.kept), ...rest] };
  return { disk, toShip: rest.filter(({ shared }) => !shared) };
}

/** Puts on record what frozen layers were when they were read or written. The caller holds the machine. @throws E_DISKS */
export async function recordFrozen(paths: MachinePaths, frozen: ReadonlyMap<string, FrozenFile>): Promise<void> {
  const disks = await readDisks(paths);
  if (disks === null) return;
  const layers = (disk: MachineDisk): Layer[] =>
    disk.layers.map((layer) => (frozen.has(layer.id) ? { ...layer, frozen: frozen.get(layer.id) } : layer));
  await writeDisks(
    paths,
    disks.map((disk) => ({ ...disk, layers: layers(disk) })),
  );
}

/**
 * What a machine's departure leaves of its disks: the frozen layers stay, marked as left, so that no start writes to them; each
 * top layer, which goes on under its id elsewhere, is removed. QEMU has ended. Safe to do again.
 * @param options.topsToo the destination froze its own top layers at the handover, so they have the same content: they stay
 * @throws E_DISKS, E_FILE_ACCESS
 */
export async function leaveDisks(paths: MachinePaths, options: { readonly topsToo?: boolean } = {}): Promise<void> {
  const disks = await readDisks(paths);
  if (disks === null || disks.every(({ left }) => left === true)) return;
  const removed: Layer[] = [];
  const after = disks.map((disk): MachineDisk => {
    const top = disk.layers.at(-1)!;
    if (disk.readonly || options.topsToo || top.origin !== 'made' || disk.layers.length === 1)
      return { ...disk, left: true };
    removed.push(top);
    return { ...disk, left: true, layers: disk.layers.slice(0, -1) };
  });
  await writeDisks(paths, after);
  for (const { file } of removed) await rm(file, { force: true });
}

/**
 * Removes what lies in a machine's folder of layers and belongs to none of its disks: left by a try that was killed. The caller
 * holds the machine and receives nothing for it. Returns the files. @throws E_DISKS
 */
export async function removeGarbage(paths: MachinePaths): Promise<string[]> {
  const disks = (await readDisks(paths)) ?? [];
  const used = new Set(disks.flatMap(({ layers }) => layers.map(({ file }) => file)));
  const names = await readdir(paths.layers).catch(() => []);
  const garbage = names.map((name) => path.join(paths.layers, name)).filter((file) => !used.has(file));
  for (const file of garbage) await rm(file, { force: true });
  return garbage;
}

/** The files of layers that trmig made and that hold what a machine of this host has written: lost with the machine. @throws E_DISKS */
export async function ownLayers(paths: MachinePaths): Promise<string[]> {
  const disks = (await readDisks(paths)) ?? [];
  return disks
    .filter(({ left, readonly }) => left !== true && !readonly)
    .flatMap(({ layers }) => layers.filter(({ origin }) => origin === 'made').map(({ file }) => file));
}

/**
 * The files outside the machine's folder that go with it when it is removed for good: overlays beside shared disks, if they are
 * its own still. What the spec names stays, and so does all of a machine that lives elsewhere.
 */
export function filesBeside(paths: MachinePaths, disks: readonly MachineDisk[]): string[] {
  return disks.flatMap(({ left, layers }) =>
    left === true
      ? []
      : layers.flatMap(({ origin, file }) => (origin === 'made' && !file.startsWith(`${paths.layers}/`) ? [file] : [])),
  );
}
