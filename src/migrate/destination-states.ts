// The destination's side of a migration, as a table.
//
// Until it says ready it may discard what it has at any time. From then on the guest may be nobody's but ours, so it is
// kept until somebody who knows says whose it is: the source's commit, its journal's answer, or a person. The one way out
// is to *decline*: to journal that we shall never run it, whereupon the source may take it back.
// Invariants:
// - `goLive` appears only in outcomes that end in `owner`, and `owner` only follows the journal's record.
// - `discard` appears only before ready, after the source's word that it holds the guest, or after `declined` is on disk.

import type { Failure, FinalState } from './source-states.js';
import { step, type Next, type Outcome, type Table } from './table.js';

export type DestinationPhase =
  | { readonly at: 'offered' }
  | { readonly at: 'preparing' }
  | { readonly at: 'restoring' }
  | { readonly at: 'replaying' }
  | { readonly at: 'ready' }
  /** The link to the source is gone. `machine`: our QEMU died too, so we can only decline or discard. */
  | { readonly at: 'asking'; readonly machine: 'ready' | 'gone' }
  /** The journal is being written; what happens meanwhile is kept for afterwards. */
  | { readonly at: 'taking'; readonly lost: Failure | null }
  | { readonly at: 'owner' }
  | { readonly at: 'live' }
  | { readonly at: 'declining'; readonly error: Failure }
  | { readonly at: 'declined'; readonly error: Failure }
  | { readonly at: 'discarded'; readonly error: Failure }
  | { readonly at: 'unresolved'; readonly error: Failure };

export type DestinationEvent =
  /** The offer is one that this host can take. */
  | { readonly type: 'admitted' }
  | { readonly type: 'refused'; readonly error: Failure }
  /** QEMU stands with -S, its disks and nics open. */
  | { readonly type: 'launched' }
  /** Base and device state are in place. */
  | { readonly type: 'restored' }
  /** The log is replayed to its last instruction, and digested. */
  | { readonly type: 'reached'; readonly final: FinalState }
  | { readonly type: 'commit' }
  /** What the source's journal says. */
  | { readonly type: 'answer'; readonly holder: 'source' | 'destination' | 'unknown' }
  | { readonly type: 'journaled' }
  | { readonly type: 'journalRefused'; readonly error: Failure }
  | { readonly type: 'journalUnknown'; readonly error: Failure }
  /** The guest runs here. */
  | { readonly type: 'running' }
  | { readonly type: 'retired' }
  | { readonly type: 'peerAborted'; readonly error: Failure }
  | { readonly type: 'peerGone'; readonly error: Failure }
  | { readonly type: 'cancel'; readonly error: Failure }
  /** An effect failed; a divergence. */
  | { readonly type: 'failed'; readonly error: Failure }
  | { readonly type: 'machineGone'; readonly error: Failure };

export type DestinationEffect =
  | { readonly do: 'admit' }
  | { readonly do: 'launch' }
  | { readonly do: 'sendAccept' }
  | { readonly do: 'sendRefuse'; readonly error: Failure }
  /** Take chunks and log segments; ends in `restored`. */
  | { readonly do: 'restore' }
  /** Replay; ends in `reached`. */
  | { readonly do: 'play' }
  /** Where the table waits for it (`owner`, `declined`) its end is an event, else the next effect waits. */
  | { readonly do: 'journal'; readonly state: 'replaying' | 'owner' | 'live' | 'declined' | 'discarded' }
  | { readonly do: 'sendReady' }
  /** Ask the source's journal, again after a while; ends in `answer`. */
  | { readonly do: 'ask' }
  /** Ends in `running`. */
  | { readonly do: 'goLive' }
  | { readonly do: 'sendLive' }
  /** Best effort. */
  | { readonly do: 'sendAbort'; readonly error: Failure }
  | { readonly do: 'sendDeclined'; readonly error: Failure }
  /** Kill QEMU, remove what this migration left. */
  | { readonly do: 'discard' }
  | { readonly do: 'close' };

type Out = Outcome<DestinationPhase, DestinationEffect>;
type At<P extends DestinationPhase['at']> = P extends unknown ? Extract<DestinationPhase, { readonly at: P }> : never;
type WithError = { readonly error: Failure };

const go = (phase: DestinationPhase, ...effects: DestinationEffect[]): Out => ({ phase, effects });
const stay = (phase: DestinationPhase): Out => ({ phase, effects: [] });
/** The event changes nothing here. */
const ignored = <P extends DestinationPhase['at']>(at: P): { to: P[]; step: (phase: At<P>) => Out; quiet: true } => ({
  to: [at],
  step: stay,
  quiet: true,
});

const heldBySource: Failure = {
  code: 'E_PEER_ABORTED',
  message: "the source's journal says that it holds the machine",
};
const machineLost: Failure = { code: 'E_MACHINE_GONE', message: 'the QEMU that held the replayed machine is gone' };

// --- before ready: whatever happens, discard ---
const discard = (tell: boolean) => ({
  to: ['discarded' as const],
  step: (_: DestinationPhase, { error }: WithError): Out => {
    const told: DestinationEffect[] = tell ? [{ do: 'sendAbort', error }] : [];
    return go({ at: 'discarded', error }, ...told, { do: 'discard' }, { do: 'close' });
  },
});
const discardable = {
  peerGone: discard(false),
  peerAborted: discard(false),
  failed: discard(true),
  cancel: discard(true),
  machineGone: discard(true),
};

/** Once the journal says that we may have been ready, it must also say that this is over. */
const discardJournaled = (tell: boolean) => ({
  to: ['discarded' as const],
  step: (_: DestinationPhase, { error }: WithError): Out => {
    const told: DestinationEffect[] = tell ? [{ do: 'sendAbort', error }] : [];
    return go(
      { at: 'discarded', error },
      ...told,
      { do: 'discard' },
      { do: 'journal', state: 'discarded' },
      { do: 'close' },
    );
  },
});

// --- after ready ---
const discardHeld = (error: Failure): Out =>
  go({ at: 'discarded', error }, { do: 'discard' }, { do: 'journal', state: 'discarded' }, { do: 'close' });
const decline = (error: Failure): Out => go({ at: 'declining', error }, { do: 'journal', state: 'declined' });
const take = (): Out => go({ at: 'taking', lost: null }, { do: 'journal', state: 'owner' });
const declines = {
  to: ['declining' as const],
  step: (_: DestinationPhase, { error }: WithError): Out => decline(error),
};

/** The source that asks for a discarded guest to be run must learn that it will not be. */
const over = <P extends 'declined' | 'discarded'>(at: P) => ({
  commit: {
    to: [at],
    step: (phase: At<'declined' | 'discarded'>): Out => go(phase, { do: 'sendDeclined', error: phase.error }),
  },
  peerGone: ignored(at),
  peerAborted: ignored(at),
  failed: ignored(at),
  cancel: ignored(at),
  machineGone: ignored(at),
  admitted: ignored(at),
  refused: ignored(at),
  launched: ignored(at),
  restored: ignored(at),
  reached: ignored(at),
  answer: ignored(at),
});

/** The table. docs/protocol.md draws it. */
export const DESTINATION_TABLE: Table<DestinationPhase, DestinationEvent, DestinationEffect> = {
  offered: {
    admitted: { to: ['preparing'], step: () => go({ at: 'preparing' }, { do: 'launch' }) },
    refused: {
      to: ['discarded'],
      step: (_, { error }) => go({ at: 'discarded', error }, { do: 'sendRefuse', error }, { do: 'close' }),
    },
    ...discardable,
  },
  preparing: {
    launched: { to: ['restoring'], step: () => go({ at: 'restoring' }, { do: 'sendAccept' }, { do: 'restore' }) },
    ...discardable,
    failed: {
      to: ['discarded'],
      step: (_, { error }) =>
        go({ at: 'discarded', error }, { do: 'sendRefuse', error }, { do: 'discard' }, { do: 'close' }),
    },
  },
  restoring: {
    restored: {
      to: ['replaying'],
      // Journaled here, where it costs no downtime: after a crash it says "ask before you discard".
      step: () => go({ at: 'replaying' }, { do: 'journal', state: 'replaying' }, { do: 'play' }),
    },
    ...discardable,
  },
  replaying: {
    reached: { to: ['ready'], step: () => go({ at: 'ready' }, { do: 'sendReady' }) },
    peerGone: discardJournaled(false),
    peerAborted: discardJournaled(false),
    failed: discardJournaled(true),
    cancel: discardJournaled(true),
    machineGone: discardJournaled(true),
  },
  ready: {
    commit: { to: ['taking'], step: take },
    // An abort is never sent by a source that has relinquished.
    peerAborted: { to: ['discarded'], step: (_, { error }) => discardHeld(error) },
    peerGone: { to: ['asking'], step: () => go({ at: 'asking', machine: 'ready' }, { do: 'ask' }) },
    machineGone: declines,
    failed: declines,
    cancel: declines,
  },
  asking: {
    commit: {
      to: ['taking', 'declining'],
      step: ({ machine }) => (machine === 'ready' ? take() : decline(machineLost)),
    },
    answer: {
      to: ['asking', 'taking', 'declining', 'discarded'],
      step: (phase, { holder }) => {
        if (holder === 'unknown') return go(phase, { do: 'ask' });
        if (holder === 'source') return discardHeld(heldBySource);
        return phase.machine === 'ready' ? take() : decline(machineLost);
      },
    },
    peerAborted: { to: ['discarded'], step: (_, { error }) => discardHeld(error) },
    machineGone: { to: ['asking'], step: () => stay({ at: 'asking', machine: 'gone' }) },
    cancel: declines,
    peerGone: ignored('asking'),
    failed: ignored('asking'),
  },
  taking: {
    journaled: {
      to: ['owner', 'declining'],
      // It was never run here, so declining is still the truth.
      step: ({ lost }) => (lost === null ? go({ at: 'owner' }, { do: 'goLive' }) : decline(lost)),
    },
    // A full disk: the source waits, relinquished; so do we.
    journalRefused: {
      to: ['asking'],
      step: ({ lost }) => go({ at: 'asking', machine: lost === null ? 'ready' : 'gone' }, { do: 'ask' }),
    },
    journalUnknown: { to: ['unresolved'], step: (_, { error }) => go({ at: 'unresolved', error }) },
    machineGone: { to: ['taking'], step: (_, { error }) => stay({ at: 'taking', lost: error }) },
    commit: ignored('taking'),
    answer: ignored('taking'),
    peerGone: ignored('taking'),
    peerAborted: ignored('taking'),
    failed: ignored('taking'),
  },
  owner: {
    running: { to: ['live'], step: () => go({ at: 'live' }, { do: 'sendLive' }, { do: 'journal', state: 'live' }) },
    // It may have run for an instant: nobody else may run it now.
    failed: { to: ['unresolved'], step: (_, { error }) => go({ at: 'unresolved', error }) },
    machineGone: { to: ['unresolved'], step: (_, { error }) => go({ at: 'unresolved', error }) },
    commit: ignored('owner'),
    answer: ignored('owner'),
    peerGone: ignored('owner'),
    peerAborted: ignored('owner'),
  },
  live: {
    commit: { to: ['live'], step: (phase) => go(phase, { do: 'sendLive' }) },
    retired: { to: ['live'], step: (phase) => go(phase, { do: 'close' }) },
    answer: ignored('live'),
    peerGone: ignored('live'),
    peerAborted: ignored('live'),
    failed: ignored('live'),
    machineGone: ignored('live'),
  },
  declining: {
    journaled: {
      to: ['declined'],
      step: ({ error }) => go({ at: 'declined', error }, { do: 'sendDeclined', error }, { do: 'discard' }),
    },
    journalRefused: { to: ['unresolved'], step: (_, { error }) => go({ at: 'unresolved', error }) },
    journalUnknown: { to: ['unresolved'], step: (_, { error }) => go({ at: 'unresolved', error }) },
    commit: ignored('declining'),
    answer: ignored('declining'),
    peerGone: ignored('declining'),
    peerAborted: ignored('declining'),
    failed: ignored('declining'),
    cancel: ignored('declining'),
    machineGone: ignored('declining'),
  },
  declined: over('declined'),
  discarded: over('discarded'),
  unresolved: {
    commit: ignored('unresolved'),
    answer: ignored('unresolved'),
    peerGone: ignored('unresolved'),
    peerAborted: ignored('unresolved'),
    failed: ignored('unresolved'),
    machineGone: ignored('unresolved'),
  },
};

/** Follows one event. Pure and total: an event that the phase does not take comes back as `refused`. */
export function nextDestination(
  phase: DestinationPhase,
  event: DestinationEvent,
): Next<DestinationPhase, DestinationEffect> {
  return step(DESTINATION_TABLE, phase, event);
}
