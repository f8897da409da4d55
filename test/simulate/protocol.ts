// What the simulation runs: the two tables and the functions that read a journal, as the product has them, and the guards
// that lie outside the tables. All of it is a parameter, so that a test can take one guard away and see it missed.
import { DESTINATION_TABLE } from '../../src/migrate/destination-states.js';
import type { DestinationEffect, DestinationEvent, DestinationPhase } from '../../src/migrate/destination-states.js';
import { answerFrom, nextEpoch, recover, replyToCommit } from '../../src/migrate/ownership.js';
import { SOURCE_TABLE } from '../../src/migrate/source-states.js';
import type { SourceEffect, SourceEvent, SourcePhase } from '../../src/migrate/source-states.js';
import type { Table } from '../../src/migrate/table.js';

export type AnyPhase = SourcePhase | DestinationPhase;
export type AnyEvent = SourceEvent | DestinationEvent;
export type AnyEffect = SourceEffect | DestinationEffect;
export type SourceTable = Table<SourcePhase, SourceEvent, SourceEffect>;
export type DestinationTable = Table<DestinationPhase, DestinationEvent, DestinationEffect>;

export interface Guards {
  /** A machine whose source process lives, suspended or not, is neither migrated by a second one nor settled by a person. */
  readonly oneSource: boolean;
  /** What is answered from a journal, or gone on from, is on disk. */
  readonly readsWhatIsSynced: boolean;
  /** A destination's records take the epoch of the source's. */
  readonly takesEpoch: boolean;
  /** A frame of another migration than the session's is not for it. */
  readonly ownFramesOnly: boolean;
}

export interface Protocol {
  readonly source: SourceTable;
  readonly destination: DestinationTable;
  readonly recover: typeof recover;
  readonly answerFrom: typeof answerFrom;
  readonly replyToCommit: typeof replyToCommit;
  readonly nextEpoch: typeof nextEpoch;
  readonly guards: Guards;
}

export const protocol: Protocol = {
  source: SOURCE_TABLE,
  destination: DESTINATION_TABLE,
  recover,
  answerFrom,
  replyToCommit,
  nextEpoch,
  guards: { oneSource: true, readsWhatIsSynced: true, takesEpoch: true, ownFramesOnly: true },
};
