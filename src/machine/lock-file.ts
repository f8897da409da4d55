// A lock between commands is a file that names its holder, so that a killed command does not lock anything for ever.
// What this cannot prevent: two that break a stale lock in the same instant.
import { open, readFile, unlink } from 'node:fs/promises';
import { inspectProcess, isAlive, readIdentity, type ProcessIdentity } from './process.js';

/** Either it is held now, until `release`; or somebody else holds it, who may be unknown. */
export type Locked =
  | { readonly held: true; readonly release: () => Promise<void> }
  | { readonly held: false; readonly holder: ProcessIdentity | null };

/** Takes the lock `file`, in a folder that is there. @throws what the file system throws */
export async function takeLock(file: string): Promise<Locked> {
  const self = await inspectProcess(process.pid);
  const content = JSON.stringify(self?.identity ?? {});
  for (let attempt = 0; !(await tryCreate(file, content)); attempt++) {
    const holder = await readIdentity(file);
    if (attempt >= 3 || (holder && (await isAlive(holder))) || (!holder && (await isFresh(file)))) {
      return { held: false, holder };
    }
    await unlink(file).catch(() => undefined);
  }
  return { held: true, release: () => unlink(file).catch(() => undefined) };
}

async function tryCreate(file: string, content: string): Promise<boolean> {
  try {
    const handle = await open(file, 'wx', 0o600);
    try {
      await handle.writeFile(content);
    } finally {
      await handle.close();
    }
    return true;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw cause;
  }
}

/** A lock without content: its holder is between creating and writing it, or died there. The former lasts microseconds. */
async function isFresh(file: string): Promise<boolean> {
  await new Promise((resolve) => setTimeout(resolve, 50));
  return (await readFile(file, 'utf8').catch(() => '')) !== '' && (await readIdentity(file)) !== null;
}
