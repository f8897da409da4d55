// Who is giving a machine away on this host, as a file beside it: `departing.json` names the process. Two at once would
// share one stop and one fence: a process that was suspended in a handover, and wakes up in another one's, could take back what
// that one has given away.
// Invariant: a process holds it from before it looks at the machine's journal until its session is over; suspended or not, while
// it lives nobody else begins. What a dead one left does not count.

import { join } from 'node:path';
import { TrmigError } from '../errors.js';
import { isAlive, readIdentity, takeLock, type MachinePaths } from '../machine/index.js';

const fileOf = (paths: MachinePaths): string => join(paths.folder, 'departing.json');

/** Holds the machine's departure while `work` goes on. @throws TrmigError E_BUSY while another process has it, E_FILE_ACCESS */
export async function whileDeparting<T>(paths: MachinePaths, work: () => Promise<T>): Promise<T> {
  const lock = await takeLock(fileOf(paths)).catch((cause: unknown) => {
    throw new TrmigError('E_FILE_ACCESS', `${fileOf(paths)} could not be written`, { cause });
  });
  if (!lock.held) throw busy(paths.name, lock.holder?.pid ?? null);
  try {
    return await work();
  } finally {
    await lock.release();
  }
}

/** @throws TrmigError E_BUSY while a living process is giving the machine away */
export async function assertNotDeparting(paths: MachinePaths): Promise<void> {
  const holder = await readIdentity(fileOf(paths));
  if (holder !== null && (await isAlive(holder))) throw busy(paths.name, holder.pid);
}

function busy(name: string, pid: number | null): TrmigError {
  const whom = pid === null ? 'another process' : `process ${pid}`;
  return new TrmigError('E_BUSY', `'${name}' is being migrated by ${whom}`, {
    hint: 'Wait for it, or end it: the machine stays where it is. `trmig status` says how it stands.',
    facts: { machine: name, pid },
  });
}
