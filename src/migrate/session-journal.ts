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

/** Of how many syncs the shortest is taken. */
const latestCount = 5;

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
  readonly #tookMs: number[] = [];
  #last: Promise<unknown> = Promise.resolve();

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
    const { migrationId, peer } = this.facts;
    const common = { migrationId, peer, epoch: this.epoch, time: new Date().toISOString() };
    await this.#measured(() => this.journal.append({ ...entry, ...common }));
  }

  /**
   * The shortest of the latest records and rehearsals, ms; 0 before the first. Inside a handover no guest writes to the
   * disk: the rehearsals that met the guest's own writes tell nothing of it.
   */
  get recordMs(): number {
    const latest = this.#tookMs.slice(-latestCount).sort((a, b) => a - b);
    return latest[0] ?? 0;
  }

  /** Measures what a record would take now. @throws TrmigError E_JOURNAL_UNCERTAIN */
  async rehearse(): Promise<void> {
    await this.#measured(() => this.journal.rehearse());
  }

  /** One after the other: the journal wants it so. */
  async #measured(work: () => Promise<void>): Promise<void> {
    const mine = this.#last.then(async () => {
      const begunMs = performance.now();
      await work();
      this.#tookMs.push(performance.now() - begunMs);
    });
    this.#last = mine.catch(() => undefined);
    await mine;
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
