// Who is receiving a machine on this host, as a file beside it: `arriving.json` names the process. A receiver that is killed
// leaves a QEMU that holds a copy of somebody else's guest and will never run it; the next receiver clears it away.
// Invariants: the file is there before that QEMU is started and goes after it is live or gone; nothing is cleared while the
// process that it names lives, nor once the copy may have been reported ready (then the source's journal must be asked).

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { TrmigError } from '../errors.js';
import {
  Machine,
  inspectProcess,
  isAlive,
  readIdentity,
  writeIdentity,
  type Home,
  type MachinePaths,
} from '../machine/index.js';
import { assertNotDeparting } from './departure.js';
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
 * Clears away what a trmig that died left of a machine: a receiver's copy, or the QEMU of a guest that has moved away; does
 * nothing where there is nothing of that kind.
 * @throws TrmigError E_BUSY while a living process is receiving it or giving it away, E_JOURNAL_*, E_TRACER_*, E_MACHINE_STOP
 */
export async function clearAbandoned(home: Home, name: string): Promise<void> {
  const paths = home.machine(name);
  const last = (await readJournal(paths.ownership)).records.at(-1);
  if (last?.role === 'source' && last.state === 'retired') await endRetired(home, paths);
  const holder = await readIdentity(fileOf(home, name));
  if (holder === null) return;
  if (await isAlive(holder)) {
    if (holder.pid === process.pid) return;
    throw new TrmigError('E_BUSY', `'${name}' is being received already, by process ${holder.pid}`, {
      facts: { name, pid: holder.pid },
    });
  }
  if (last?.role === 'destination' && last.state === 'owner') return;
  const mayBeNeeded = last?.role === 'destination' && last.state === 'replaying';
  const found = await openRunning(home, name);
  if (found !== null) {
    const { mode, running, stoppedBy } = await found.tracer.status().finally(() => found.close());
    // `finish`: replayed to its end, so that the source may have been told so; unless the journal says that this is over.
    if (running || mode === 'armed' || (stoppedBy === 'finish' && mayBeNeeded)) return;
    await found.stop({ graceful: false });
  }
  if (mayBeNeeded) {
    // Without its QEMU nobody can tell how far the replay had come.
    if (found === null) return;
    const journal = await OwnershipJournal.open(paths.ownership);
    const discarded = { ...last, state: 'discarded', time: new Date().toISOString() } as const;
    await journal.append(discarded).finally(() => journal.close());
  }
  await endArrival(home, name);
}

/** The guest runs elsewhere, and its source died before it could end the QEMU that it had here. */
async function endRetired(home: Home, paths: MachinePaths): Promise<void> {
  const left = await openRunning(home, paths.name);
  if (left === null) return;
  const { owned } = await left.tracer.status().finally(() => left.close());
  if (owned) return;
  // A living source still compares its memory.
  await assertNotDeparting(paths);
  await left.stop({ graceful: false });
}

async function openRunning(home: Home, name: string): Promise<Machine | null> {
  const found = (await Machine.list({ home })).find((machine) => machine.name === name);
  return found?.state === 'running' ? Machine.open(name, { home }) : null;
}
