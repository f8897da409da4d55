// The files of a recording beside its log, as trmig names them, and what a recording that came to nothing leaves: nothing.
// Invariant: whoever writes a recording holds its lock meanwhile; readers need none.
import { mkdir, readdir, rm, rmdir, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { TrmigError } from '../errors.js';
import { fileError, isMissing, isPresent, openFile, publish, writeFully } from '../log/files.js';
import { takeLock } from '../machine/index.js';

export const imagePart = 'ram.img';
export const devicePart = 'device.state';
export const diskPart = (disk: number): string => `disk${disk}.qcow2`;
const isDisk = (name: string): boolean => /^disk\d+\.qcow2(\.partial)?$/.test(name);

const lockName = 'writer.lock';

export interface RecordingFolder {
  readonly dir: string;
  /** Whether it was made for this recording. */
  readonly made: boolean;
  /** Writing has ended. */
  readonly release: () => Promise<void>;
}

/**
 * A recording that is there, to be gone on with.
 * @throws TrmigError E_RECORDING_BUSY while another process writes it, E_FILE_ACCESS
 */
export async function lockFolder(dir: string): Promise<RecordingFolder> {
  const lock = await takeLock(join(dir, lockName)).catch((thrown: unknown) => {
    throw fileError(thrown, dir);
  });
  if (lock.held) return { dir, made: false, release: lock.release };
  throw new TrmigError('E_RECORDING_BUSY', `${dir} is being written by process ${lock.holder?.pid ?? 'unknown'}`, {
    facts: { dir, pid: lock.holder?.pid ?? null },
  });
}

/**
 * Makes the folder for a new recording, before anything is done to a machine for it.
 * @throws TrmigError E_RECORDING_EXISTS, E_RECORDING_BUSY, E_FILE_ACCESS, E_DISK_FULL
 */
export async function prepareFolder(dir: string): Promise<RecordingFolder> {
  try {
    const made = await makeFolder(resolve(dir));
    const found = await firstOf(dir, ['manifest.trm', 'log', imagePart, devicePart]);
    if (found !== null) {
      throw new TrmigError('E_RECORDING_EXISTS', `${dir} holds a recording already: ${found} is there`, {
        facts: { dir },
      });
    }
    return { ...(await lockFolder(dir)), made };
  } catch (thrown) {
    throw fileError(thrown, dir);
  }
}

async function firstOf(dir: string, names: readonly string[]): Promise<string | null> {
  for (const name of names) {
    if ((await stat(join(dir, name)).catch(() => null)) !== null) return name;
  }
  return null;
}

/** Makes a folder and those above it; false when it is there. Node's own recursive mkdir never ends below /proc. */
export async function makeFolder(dir: string): Promise<boolean> {
  try {
    await mkdir(dir, { mode: 0o700 });
    return true;
  } catch (error) {
    if (isPresent(error)) return false;
    if (!isMissing(error) || dirname(dir) === dir) throw error;
  }
  await makeFolder(dirname(dir));
  return mkdir(dir, { mode: 0o700 }).then(() => true);
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
export async function discardFolder({ dir, made, release }: RecordingFolder): Promise<void> {
  // The manifest first: what has none is no recording.
  const parts = [imagePart, `${imagePart}.partial`, devicePart, ...(await readdir(dir).catch(() => [])).filter(isDisk)];
  for (const name of ['manifest.trm', 'manifest.trm.partial', 'log', ...parts]) {
    await rm(join(dir, name), { recursive: true, force: true }).catch(() => undefined);
  }
  await release();
  if (made) await rmdir(dir).catch(() => undefined);
}
