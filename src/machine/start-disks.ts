// Which disks a machine starts with: those that its disks.json names, or, the first time, those of its spec. A qcow2 file of
// one's own may lie on a backing file; its names are followed once, here, and never again.
import { randomUUID } from 'node:crypto';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { TrmigError } from '../errors.js';
import { diskLayersMax, qcow2HeaderBytesMax } from '../limits.js';
import type { Layer } from './disk-chain.js';
import { readDisks, readStart, writeDisks, type MachineDisk } from './disks-file.js';
import type { MachinePaths } from './home.js';
import { parseQcow2Header } from './qcow2-header.js';
import type { DiskSpec } from './spec-schema.js';

/**
 * The chains to start with: those of disks.json, made from the spec if there is none, or none but of the spec's own files.
 * @throws E_DISKS when the spec's disks are not those of disks.json, E_LAYER_REFUSED
 */
export async function disksForStart(paths: MachinePaths, specs: readonly DiskSpec[]): Promise<MachineDisk[]> {
  const recorded = await readDisks(paths);
  if (recorded?.some(({ left }) => left)) {
    throw new TrmigError('E_DISKS', `'${paths.name}' has moved away: what ${paths.disks} names is what it left`, {
      hint: 'Migrate it back; only what has changed since will cross the network.',
      facts: { path: paths.disks },
    });
  }
  if (recorded !== null && sameSpecs(recorded, specs)) return recorded;
  if (recorded?.some(({ layers }) => layers.some(({ origin }) => origin === 'made'))) {
    throw new TrmigError('E_DISKS', `the spec of '${paths.name}' names other disks than the ones in ${paths.disks}`, {
      hint: `Start it with the disks that it had; '${paths.name}' has written to layers on them.`,
      facts: { path: paths.disks },
    });
  }
  const disks = await Promise.all(specs.map(diskOfSpec));
  // Nothing on record says the same.
  if (disks.length > 0 || recorded !== null) await writeDisks(paths, disks);
  return disks;
}

/** Whether the machine has been started here before, and so has disks of its own. */
export async function hasDisks(paths: MachinePaths): Promise<boolean> {
  return (await stat(paths.disks).catch(() => null)) !== null;
}

function sameSpecs(recorded: readonly MachineDisk[], specs: readonly DiskSpec[]): boolean {
  const key = ({ file: at, format: of, readonly, shared }: DiskSpec): string =>
    JSON.stringify([at, of, readonly, shared]);
  return recorded.length === specs.length && recorded.every((disk, i) => key(disk.spec) === key(specs[i]!));
}

/** A disk as its spec has it: the file, on the backing files that a qcow2 file of one's own may name. */
export async function diskOfSpec(spec: DiskSpec): Promise<MachineDisk> {
  const { readonly, shared } = spec;
  const layers: Layer[] = [];
  let next: { file: string; format: 'raw' | 'qcow2' } | null = spec;
  while (next !== null) {
    if (layers.length === diskLayersMax) throw refused(spec.file, `it has more than ${diskLayersMax} backing files`);
    const { file: at, format: of }: { file: string; format: 'raw' | 'qcow2' } = next;
    layers.unshift({
      id: randomUUID(),
      file: at,
      format: of,
      includes: [],
      origin: next === spec ? 'spec' : 'backing',
      shared,
    });
    next = of === 'qcow2' ? await backingOf(at) : null;
  }
  return { spec, readonly, layers };
}

async function backingOf(image: string): Promise<{ file: string; format: 'raw' | 'qcow2' } | null> {
  const bytes = await readStart(image, qcow2HeaderBytesMax);
  const header = parseQcow2Header(bytes ?? Buffer.alloc(0));
  if (typeof header === 'string') throw refused(image, header);
  if (header.encrypted) throw refused(image, 'it is encrypted');
  if (header.externalData) throw refused(image, 'its data lies in another file');
  const { backingFile, backingFormat } = header;
  if (backingFile === null) return null;
  // A path, and not one of QEMU's ways to name anything else.
  if (/^[a-z0-9+.-]*:/i.test(backingFile)) throw refused(image, `its backing file '${backingFile}' is not a path`);
  if (backingFormat !== 'raw' && backingFormat !== 'qcow2') {
    throw refused(image, `it does not say that its backing file is raw or qcow2, but '${backingFormat ?? ''}'`);
  }
  return { file: path.resolve(path.dirname(image), backingFile), format: backingFormat };
}

/**
 * Checks that the files of the layers that a start opens are there. @throws E_DISKS naming all that are not
 */
export async function checkLayerFiles(disks: readonly MachineDisk[], topsOnly: boolean): Promise<void> {
  const files = disks.flatMap(({ layers }) => (topsOnly ? layers.slice(-1) : layers).map(({ file }) => file));
  const missing: string[] = [];
  for (const file of files) {
    const found = await stat(file).catch(() => null);
    // A disk may be a block device.
    if (!found?.isFile() && !found?.isBlockDevice()) missing.push(file);
  }
  if (missing.length === 0) return;
  throw new TrmigError('E_DISKS', `layers of the disks are not there: ${missing.join(', ')}`, {
    facts: { files: missing.join(' ') },
  });
}

function refused(image: string, why: string): TrmigError {
  return new TrmigError('E_LAYER_REFUSED', `${image}: ${why}`, { facts: { path: image } });
}
