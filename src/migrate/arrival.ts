// Who is receiving a machine on this host, as a file beside it: `arriving.json` names the process. A receiver that is killed
// leaves a QEMU that holds a copy of somebody else's guest and will never run it; the next receiver clears it away.
// Invariants: the file is there before that QEMU is started and goes after it is live or gone; nothing is cleared while the
// process that it names lives, nor once the copy may have been reported ready (then the source's journal must be asked).

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { TrmigError } from '../errors.js';
import { Machine, inspectProcess, isAlive, readIdentity, writeIdentity, type Home } from '../machine/index.js';
import { OwnershipJournal, readJournal } from './journal.js';

const fileOf = (home: Home, name: string): string => join(home.machine(name).folder, 'arriving.json');

/** Says that this process is receiving the machine. */
export async function beginArrival(home: Home, name: string): Promise<void> {
  const self = await inspectProcess(process.pid);
  if (self !== null) await writeIdentity(fileOf(home, name), self.identity);
}

/** Says that it is no longer: the machine is live here, or gone. */
export async function endArrival(home: Home, name: string): Promise<void> {
  await rm(fileOf(home, name), { force: true });
}

/** The living process that is receiving the machine; null for none. */
export async function receiverOf(home: Home, name: string): Promise<number | null> {
  const holder = await readIdentity(fileOf(home, name));
  return holder !== null && (await isAlive(holder)) ? holder.pid : null;
}

/**
 * Clears away what a receiver that died left of a machine; does nothing where there is nothing of that kind.
 * @throws TrmigError E_BUSY while a living process is receiving it, E_JOURNAL_*, E_TRACER_*, E_MACHINE_STOP
 */
export async function clearAbandoned(home: Home, name: string): Promise<void> {
  const holder = await readIdentity(fileOf(home, name));
  if (holder === null) return;
  if (await isAlive(holder)) {
    if (holder.pid === process.pid) return;
    throw new TrmigError('E_BUSY', `'${name}' is being received already, by process ${holder.pid}`, {
      facts: { name, pid: holder.pid },
    });
  }
  const paths = home.machine(name);
  const last = (await readJournal(paths.ownership)).records.at(-1);
  if (last?.role === 'destination' && last.state === 'owner') return;
  const found = (await Machine.list({ home })).find((machine) => machine.name === name);
  if (found?.state === 'running') {
    const machine = await Machine.open(name, { home });
    const { mode, running, stoppedBy } = await machine.tracer.status().finally(() => machine.close());
    // `finish`: replayed to its end, so that the source may have been told so.
    const isCopy = !running && mode !== 'armed' && stoppedBy !== 'finish';
    if (!isCopy) return;
    await machine.stop({ graceful: false });
  }
  if (last?.role === 'destination' && last.state === 'replaying') {
    // Without its QEMU nobody can tell how far the replay had come.
    if (found?.state !== 'running') return;
    const journal = await OwnershipJournal.open(paths.ownership);
    const discarded = { ...last, state: 'discarded', time: new Date().toISOString() } as const;
    await journal.append(discarded).finally(() => journal.close());
  }
  await endArrival(home, name);
}
