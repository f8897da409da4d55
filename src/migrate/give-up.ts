// The end of a recording that hands the machine over: it stops here for good, and whoever has the complete recording may take
// it over (replay --live). The recording is then the migration: its leg (leg.ts) names it in the ownership journal.
//
// The order is what makes two owners impossible: the guest stands still → the last segment is on disk → the tracer is fenced
// → this host's journal says relinquished → only then does the manifest say that the recording is complete and given up,
// which is what a taker asks for → QEMU ends, and what it wrote to its disks goes → retired.
import { TrmigError } from '../errors.js';
import { leaveDisks } from '../disk/index.js';
import { giveUpLeaseMs } from '../limits.js';
import { RecordingReader, type RecordingWriter } from '../log/index.js';
import type { Machine } from '../machine/index.js';
import { OwnershipJournal, type SourceRecordState } from './journal.js';
import { isSettled, nextEpoch } from './ownership.js';

/** A manifest's reason that allows to take its machine over. */
export const givenUp = 'given-up';

export interface GiveUp {
  /**
   * Ends recording and machine. Returns how long stopping it took inside, in ms.
   * @throws TrmigError; before the manifest is complete the machine then goes on here
   */
  finish(logged: Promise<void>, writer: RecordingWriter): Promise<number>;
  /** The recording failed or was cancelled: the machine stays here. Idempotent; does nothing after `finish`. */
  cancel(): Promise<void>;
}

/** @throws TrmigError E_UNSETTLED, E_JOURNAL_* */
export async function beginGivingUp(machine: Machine, leg: string, dir: string): Promise<GiveUp> {
  const journal = await OwnershipJournal.open(machine.paths.ownership);
  if (!isSettled(journal.records)) {
    await journal.close();
    throw new TrmigError('E_UNSETTLED', `an earlier migration of '${machine.name}' is unfinished`, {
      hint: `Run: trmig status ${machine.name}`,
    });
  }
  const epoch = nextEpoch(journal.records);
  const note = (state: SourceRecordState): Promise<void> =>
    journal.append({
      role: 'source',
      state,
      migrationId: leg,
      epoch,
      peer: `recording:${dir}`.slice(0, 512),
      time: new Date().toISOString(),
    });
  await note('recording');
  let open = true;
  const settle = async (state: SourceRecordState): Promise<void> => {
    if (!open) return;
    open = false;
    await note(state).finally(() => journal.close());
  };

  const finish = async (logged: Promise<void>, writer: RecordingWriter): Promise<number> => {
    const { tracer } = machine;
    await note('draining');
    const { pauses } = await tracer.finish(giveUpLeaseMs);
    try {
      await logged;
      await writer.sync();
      await tracer.relinquish();
      // Fenced: digesting memory may take longer than a lease.
      const { registers, devices, ram } = await tracer.digest({ ram: true });
      await note('relinquished');
      await writer.complete(givenUp, { registers, devices, ram });
    } catch (thrown) {
      // If the manifest went out in spite of the error, somebody may take the machine: it must stay stopped here.
      if (await isComplete(writer.dir)) throw thrown;
      await note('reclaimed').catch(() => undefined);
      await takeBack(machine);
      await settle('returned');
      throw thrown;
    }
    await machine.stop({ graceful: false });
    await leaveDisks(machine.paths);
    await settle('retired');
    return pauses.totalNs / 1e6;
  };
  return { finish, cancel: () => settle('returned') };
}

/** The guest goes on here, whether it was fenced already or only stopped. */
async function takeBack({ tracer }: Machine): Promise<void> {
  const { owned, running } = await tracer.status();
  if (!owned) await tracer.reclaim();
  else if (!running) await tracer.resume();
}

async function isComplete(dir: string): Promise<boolean> {
  return RecordingReader.open(dir).then(
    ({ manifest }) => manifest.status === 'complete',
    () => false,
  );
}
