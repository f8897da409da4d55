// The files of a recording beside its log, as trmig names them, and what a recording that came to nothing leaves: nothing.
import { mkdir, rm, rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { TrmigError } from '../errors.js';
import { fileError, openFile, publish, writeFully } from '../log/files.js';

export const imagePart = 'ram.img';
export const devicePart = 'device.state';

export interface RecordingFolder {
  readonly dir: string;
  /** Whether it was made for this recording. */
  readonly made: boolean;
}

/**
 * Makes the folder for a new recording, before anything is done to a machine for it.
 * @throws TrmigError E_RECORDING_EXISTS, E_FILE_ACCESS, E_DISK_FULL
 */
export async function prepareFolder(dir: string): Promise<RecordingFolder> {
  try {
    const made = (await mkdir(dir, { recursive: true, mode: 0o700 })) !== undefined;
    for (const name of ['manifest.trm', 'log', imagePart, devicePart]) {
      if ((await stat(join(dir, name)).catch(() => null)) === null) continue;
      throw new TrmigError('E_RECORDING_EXISTS', `${dir} holds a recording already: ${name} is there`, {
        facts: { dir },
      });
    }
    return { dir, made };
  } catch (thrown) {
    throw fileError(thrown, dir);
  }
}

/** Writes a part under a temporary name, synced, then renamed. @throws TrmigError E_DISK_FULL, E_FILE_ACCESS */
export async function writePart(dir: string, name: string, bytes: Uint8Array): Promise<void> {
  const path = join(dir, name);
  const partial = `${path}.partial`;
  try {
    const file = await openFile(partial, 'w');
    try {
      await writeFully(file, bytes, 0);
      await file.sync();
    } finally {
      await file.close();
    }
    await publish(partial, path);
  } catch (thrown) {
    await rm(partial, { force: true }).catch(() => undefined);
    throw fileError(thrown, path);
  }
}

/** Removes what was written of a recording without a base: nobody could use it. Never throws. */
export async function discardFolder({ dir, made }: RecordingFolder): Promise<void> {
  // The manifest first: what has none is no recording.
  for (const name of ['manifest.trm', 'manifest.trm.partial', 'log', imagePart, `${imagePart}.partial`, devicePart]) {
    await rm(join(dir, name), { recursive: true, force: true }).catch(() => undefined);
  }
  if (made) await rmdir(dir).catch(() => undefined);
}
