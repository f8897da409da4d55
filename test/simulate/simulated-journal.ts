// A host's ownership journal as its processes see it, and what of it would survive the host's losing power.
// Invariant: a record is durable only after a sync that was made when it was there; records before a durable one are too.
import type { OwnershipRecord } from '../../src/migrate/journal.js';
import type { Random } from './random.js';

export class SimulatedJournal {
  readonly records: OwnershipRecord[] = [];
  #durable = 0;

  write(record: OwnershipRecord): void {
    this.records.push(record);
  }

  sync(): void {
    this.#durable = this.records.length;
  }

  /** Takes back the last record, unless somebody has synced it since. */
  retract(): void {
    if (this.#durable < this.records.length) this.records.pop();
  }

  /** What was not synced may be there afterwards, or not; what is, is on disk. */
  losePower(random: Random): void {
    const unsynced = this.records.length - this.#durable;
    if (unsynced > 0) this.records.splice(this.#durable + random.below(unsynced + 1));
    this.sync();
  }
}
