// How a machine stands on this host: what its processes say, and what its ownership journal says. `trmig status`.
// Invariant: looking changes nothing, and a part that cannot be read does not hide the others.

import { TrmigError, asTrmigError } from '../errors.js';
import { Machine, type Home, type MachineStatus, type TracerStatus } from '../machine/index.js';
import { readJournal, type OwnershipRecord } from './journal.js';
import { advise, currentOwner, type Advice } from './ownership.js';

export interface OwnershipStanding {
  /** Who, by this host's journal, may run the machine; null when the journal cannot be read. */
  readonly owner: 'here' | 'there' | null;
  readonly last: OwnershipRecord | null;
  /** What is unfinished and which command resolves it. */
  readonly advice: Advice | null;
  /** Why the journal could not be read. */
  readonly error: TrmigError | null;
}

export interface Standing extends MachineStatus {
  readonly ownership: OwnershipStanding;
}

/**
 * How the machine `name` stands, running or not.
 * @throws TrmigError E_MACHINE_UNKNOWN, E_ABORTED
 */
export async function standingOf(name: string, options: { home: Home; signal?: AbortSignal }): Promise<Standing> {
  const { home, signal } = options;
  const paths = home.machine(name);
  const summary = (await Machine.list({ home })).find((machine) => machine.name === name);
  if (summary === undefined) {
    throw new TrmigError('E_MACHINE_UNKNOWN', `there is no machine '${name}' here`, { facts: { name } });
  }
  let status: MachineStatus = { ...summary, qemu: null, tracer: null };
  if (summary.state === 'running') {
    try {
      const machine = await Machine.open(name, { home, ...(signal && { signal }) });
      status = await machine.status(signal ? { signal } : {}).finally(() => machine.close());
    } catch (thrown) {
      if (asTrmigError(thrown).code === 'E_ABORTED') throw thrown;
    }
  }
  return { ...status, ownership: await ownershipOf(name, paths.ownership, status.tracer) };
}

/**
 * Whether somebody reads the machine's log or holds its stop. Of one that was given away the tracer cannot say: with nothing
 * left to send it does not notice that the log's reader is gone.
 */
export function isAtWork({ owned, stream, leaseMs }: TracerStatus): boolean {
  return (owned && stream) || (leaseMs ?? 0) > 0;
}

async function ownershipOf(name: string, journal: string, tracer: TracerStatus | null): Promise<OwnershipStanding> {
  try {
    const { records } = await readJournal(journal);
    const conducted = tracer !== null && isAtWork(tracer);
    const advice = advise(name, records, conducted, false);
    return { owner: currentOwner(records), last: records.at(-1) ?? null, advice, error: null };
  } catch (thrown) {
    return { owner: null, last: null, advice: null, error: asTrmigError(thrown) };
  }
}
