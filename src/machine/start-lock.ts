// Two commands that start one name at the same moment would mix up its files. The lock is a file that names its holder, so
// that a killed command does not lock the name for ever. Should two break a stale lock in the same instant, QEMU's own
// lock on its pid file still lets only one of them through.
import { open, readFile, unlink } from 'node:fs/promises';
import { TrmigError } from '../errors.js';
import type { MachinePaths } from './home.js';
import { inspectProcess, isAlive, readIdentity } from './process.js';

/** Runs `work` while holding the machine's start lock. @throws E_MACHINE_EXISTS when another command holds it */
export async function withStartLock<T>(paths: MachinePaths, work: () => Promise<T>): Promise<T> {
  const self = await inspectProcess(process.pid);
  const content = JSON.stringify(self?.identity ?? {});
  for (let attempt = 0; !(await tryCreate(paths.startLock, content)); attempt++) {
    const holder = await readIdentity(paths.startLock);
    if (attempt >= 3 || (holder && (await isAlive(holder))) || (!holder && (await isFresh(paths.startLock)))) {
      throw new TrmigError('E_MACHINE_EXISTS', `another command is starting or stopping '${paths.name}' right now`, {
        hint: 'Wait for it to end, then look at the machine with `trmig status`.',
        facts: { name: paths.name, pid: holder?.pid ?? null },
      });
    }
    await unlink(paths.startLock).catch(() => undefined);
  }
  try {
    return await work();
  } finally {
    await unlink(paths.startLock).catch(() => undefined);
  }
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
