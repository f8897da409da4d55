// Two commands that start one name at the same moment would mix up its files. Should two break a stale lock in the same
// instant, QEMU's own lock on its pid file still lets only one of them through.
import { TrmigError } from '../errors.js';
import type { MachinePaths } from './home.js';
import { takeLock } from './lock-file.js';

/** Runs `work` while holding the machine's start lock. @throws E_MACHINE_EXISTS when another command holds it */
export async function withStartLock<T>(paths: MachinePaths, work: () => Promise<T>): Promise<T> {
  const lock = await takeLock(paths.startLock);
  if (!lock.held) {
    throw new TrmigError('E_MACHINE_EXISTS', `another command is starting or stopping '${paths.name}' right now`, {
      hint: 'Wait for it to end, then look at the machine with `trmig status`.',
      facts: { name: paths.name, pid: lock.holder?.pid ?? null },
    });
  }
  try {
    return await work();
  } finally {
    await lock.release();
  }
}
