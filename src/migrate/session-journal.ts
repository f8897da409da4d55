// One migration's records in a machine's ownership journal.
// Invariants: a migration begins only where nothing is unfinished; what a dead source left before it relinquished is settled
// here, because a guest that runs dormant on this host has come back by itself.

import { TrmigError, asTrmigError } from '../errors.js';
import {
  OwnershipJournal,
  type DestinationRecordState,
  type OwnershipRecord,
  type SourceRecordState,
} from './journal.js';
import { isSettled, nextEpoch } from './ownership.js';
import { failureOf } from './session.js';
import type { Failure } from './source-states.js';

/** How an awaited record ended, as the tables' events say it. */
export type JournalEvent =
  { readonly type: 'journaled' } | { readonly type: 'journalRefused' | 'journalUnknown'; readonly error: Failure };

export interface MigrationFacts {
  readonly machine: string;
  readonly migrationId: string;
  /** The other host's address. */
  readonly peer: string;
}

export class SessionJournal {
  /** How long the quickest record took, ms; 0 before the first. */
  quickestMs = 0;

  private constructor(
    private readonly journal: OwnershipJournal,
    private readonly facts: MigrationFacts,
    public epoch: number,
  ) {}

  /**
   * Opens a machine's journal for a new migration. `runsHere`: the guest is seen running on this host, dormant.
   * @throws TrmigError E_UNSETTLED when an earlier migration is unfinished, E_JOURNAL_*
   */
  static async open(path: string, facts: MigrationFacts, runsHere: boolean): Promise<SessionJournal> {
    const journal = await OwnershipJournal.open(path);
    try {
      const last = journal.records.at(-1);
      if (last !== undefined && runsHere && cameBack(last)) {
        await journal.append({ ...last, role: 'source', state: 'returned', time: new Date().toISOString() });
      }
      if (isSettled(journal.records)) return new SessionJournal(journal, facts, nextEpoch(journal.records));
      throw new TrmigError('E_UNSETTLED', `an earlier migration of '${facts.machine}' is unfinished on this host`, {
        hint: `Run: trmig status ${facts.machine}`,
        facts: { machine: facts.machine },
      });
    } catch (error) {
      await journal.close();
      throw error;
    }
  }

  /** Writes and syncs a record. @throws TrmigError E_JOURNAL_WRITE, E_JOURNAL_UNCERTAIN */
  async record(
    entry:
      | { readonly role: 'source'; readonly state: SourceRecordState }
      | { readonly role: 'destination'; readonly state: DestinationRecordState },
  ): Promise<void> {
    const begunMs = performance.now();
    const { migrationId, peer } = this.facts;
    await this.journal.append({ ...entry, migrationId, peer, epoch: this.epoch, time: new Date().toISOString() });
    const tookMs = performance.now() - begunMs;
    this.quickestMs = this.quickestMs === 0 ? tookMs : Math.min(this.quickestMs, tookMs);
  }

  /** Writes a record whose end the table waits for; it throws nothing. */
  async recordAwaited(entry: Parameters<SessionJournal['record']>[0]): Promise<JournalEvent> {
    try {
      await this.record(entry);
      return { type: 'journaled' };
    } catch (thrown) {
      const refused = asTrmigError(thrown).code === 'E_JOURNAL_WRITE';
      return { type: refused ? 'journalRefused' : 'journalUnknown', error: failureOf(thrown) };
    }
  }

  async close(): Promise<void> {
    await this.journal.close();
  }
}

/** Before it relinquishes, a source that dies leaves a guest that goes on by itself. */
function cameBack(last: OwnershipRecord): boolean {
  return last.role === 'source' && ['recording', 'draining', 'reclaimed'].includes(last.state);
}
