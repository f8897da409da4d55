// The files of this host that an offered machine names: QEMU opens kernel and initrd, and the guest can read them; shared disks
// it can read and write. With folders given, all of these must lie in one of them, wherever their links lead.
import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { TrmigError } from '../errors.js';
import type { MachineSpec } from '../machine/index.js';
import { parseDiskOffer } from './disk-offer.js';

/**
 * @param diskOffer what the offer says about its disks
 * @param folders where its files may lie
 * @throws TrmigError E_FILES_REFUSED naming the first that lies elsewhere, or is not there; E_DISKS
 */
export async function checkNamedFiles(spec: MachineSpec, diskOffer: string, folders: readonly string[]): Promise<void> {
  const roots = await Promise.all(folders.map((folder) => realpath(folder).catch(() => null)));
  const disks = parseDiskOffer(diskOffer, spec.disks.length);
  const shared = disks.flatMap(({ disk }) => [
    ...(disk.spec.shared ? [disk.spec.file] : []),
    ...disk.layers.filter((layer) => layer.shared).map((layer) => layer.file),
  ]);
  for (const file of [spec.kernel, spec.initrd, ...shared]) {
    if (file === undefined) continue;
    const found = await realpath(file).catch(() => null);
    if (found !== null && roots.some((root) => root !== null && found.startsWith(withSlash(root)))) continue;
    // Whether it is there is not the peer's to know.
    throw new TrmigError('E_FILES_REFUSED', `'${spec.name}' names ${file}, which is in none of the folders for that`, {
      facts: { file },
    });
  }
}

const withSlash = (folder: string): string => (folder.endsWith(path.sep) ? folder : folder + path.sep);
