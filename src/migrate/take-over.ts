// A replayed guest that goes live is either the recorded machine itself, which is then this host's, or a new machine that has
// the other's past. The former is a move of ownership: allowed only for a recording whose source has given the machine up
// (give-up.ts), and noted in this host's journal, which refuses the same leg of the recording (leg.ts) a second time.
//
// What this cannot prevent: two hosts with copies of one given-up recording that both take it over. A shared arbiter can;
// until there is one, a person who copies such a recording decides.
import { TrmigError } from '../errors.js';
import type { RecordingReader } from '../log/index.js';
import type { Home } from '../machine/index.js';
import { givenUp } from './give-up.js';
import { lastLeg, legId } from './leg.js';
import { OwnershipJournal, readJournal, type DestinationRecordState } from './journal.js';
import { isSettled, nextEpoch } from './ownership.js';

export type LiveKind = 'take-over' | 'fork';

export interface TakeOver {
  replaying(): Promise<void>;
  /** Before the guest runs. @throws TrmigError E_JOURNAL_* */
  own(): Promise<void>;
  lives(): Promise<void>;
  /** It ends without having gone live, or fails while it does. Returns whether the guest may be running. */
  cancel(): Promise<boolean>;
}

interface TakeOverOptions {
  readonly home: Home;
  readonly live?: LiveKind;
  readonly until?: unknown;
  readonly dir: string;
}

/**
 * Checks that the recording may go live as asked; null when no ownership moves.
 * @throws TrmigError E_RECORDING_UNREADY, E_RECORDING_HELD, E_UNSETTLED, E_USAGE, E_JOURNAL_*
 */
export async function beginTakeOver(
  reader: RecordingReader,
  name: string,
  options: TakeOverOptions,
): Promise<TakeOver | null> {
  const { home, live, dir } = options;
  const { manifest } = reader;
  if (live === undefined) return null;
  if (options.until !== undefined) {
    throw new TrmigError('E_USAGE', 'a replay that stops before the end of the log cannot go live');
  }
  if (manifest.status !== 'complete') {
    throw new TrmigError('E_RECORDING_UNREADY', `${dir} is not complete: its machine is still being recorded`, {
      hint: 'Wait for its end; only a complete recording goes live.',
      facts: { dir },
    });
  }
  if (live === 'fork') {
    if (name !== manifest.machine) return null;
    throw new TrmigError('E_USAGE', `a fork of '${name}' is a new machine: it needs another name`);
  }
  if (manifest.reason !== givenUp) {
    const why = `'${manifest.machine}' was not given up when its recording ended (${manifest.reason}): it may still run`;
    throw new TrmigError('E_RECORDING_HELD', why, {
      hint: 'Record it with --give-up to move it, or add --fork to run the copy as a new machine.',
      facts: { machine: manifest.machine, reason: manifest.reason },
    });
  }
  return openTakeOver(legId(manifest.uuid, await lastLeg(reader)), name, home, dir);
}

async function openTakeOver(leg: string, name: string, home: Home, dir: string): Promise<TakeOver> {
  const paths = home.machine(name);
  const { records } = await readJournal(paths.ownership);
  const taken = records.find((one) => one.migrationId === leg && one.role === 'destination' && one.state === 'live');
  if (taken !== undefined) {
    throw new TrmigError('E_RECORDING_HELD', `'${name}' was taken over from this recording already, ${taken.time}`, {
      facts: { machine: name, time: taken.time },
    });
  }
  if (!isSettled(records)) {
    throw new TrmigError('E_UNSETTLED', `an earlier migration of '${name}' is unfinished on this host`, {
      hint: `Run: trmig status ${name}`,
    });
  }
  const epoch = nextEpoch(records);
  await home.make(home.machines);
  await home.make(paths.folder);
  const journal = await OwnershipJournal.open(paths.ownership);
  let last: DestinationRecordState | null = null;
  const note = async (state: DestinationRecordState): Promise<void> => {
    const peer = `recording:${dir}`.slice(0, 512);
    await journal.append({
      role: 'destination',
      state,
      migrationId: leg,
      epoch,
      peer,
      time: new Date().toISOString(),
    });
    last = state;
  };
  return {
    replaying: () => note('replaying'),
    own: () => note('owner'),
    lives: () => note('live').finally(() => journal.close()),
    cancel: async () => {
      if (last === 'owner' || last === 'live') return true;
      if (last === 'replaying') await note('discarded').catch(() => undefined);
      await journal.close();
      return false;
    },
  };
}
