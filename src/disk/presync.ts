// A stop of the VM flushes every disk. What the guest wrote in the last seconds may still lie in the host's page cache, and
// the guest would stand still while it is written out. So it is written out before, from outside, while the guest runs.
import { open } from 'node:fs/promises';
import { fileError } from '../log/files.js';
import { topLayer, type DiskChain } from '../machine/index.js';

/** Writes what the host holds of the writable layers to disk, shortly before a stop. @throws E_FILE_ACCESS, E_DISK_FULL */
export async function presync(disks: readonly DiskChain[]): Promise<void> {
  await Promise.all(disks.filter(({ readonly }) => !readonly).map((disk) => syncFile(topLayer(disk).file)));
}

/** fdatasync of a file that somebody else writes. @throws E_FILE_ACCESS, E_DISK_FULL */
export async function syncFile(file: string): Promise<void> {
  try {
    const handle = await open(file, 'r');
    try {
      await handle.datasync();
    } finally {
      await handle.close();
    }
  } catch (cause) {
    throw fileError(cause, file);
  }
}
