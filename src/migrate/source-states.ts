// The source's side of a migration, as a table. What a phase does is in the effects (source.ts); nothing here waits.
//
// The order that keeps two owners impossible: the guest is *fenced* (its QEMU will not run it by itself any more), then the
// journal says relinquished (synced), and only then the commit leaves. Up to the journal, every failure gives the guest
// back to this host; after it, only the destination's journaled refusal does.
// Invariants:
// - `sendCommit` appears only in outcomes that end in `relinquished`.
// - Saying "the source holds it" to a destination that asks is a promise: from then on this migration never relinquishes. It
//   is said when the guest runs here again and no earlier: the destination discards what may be the last copy.
// - Effects are done one at a time and in order, across phases too: an undo comes after what it undoes.
// - An undo stands next to each step that needs one: disarm for arm, resume for finish, reclaim for fence.

import type { Failure, FinalState, SourceEffect, SourceEvent, SourcePhase, Undo } from './source-phases.js';
import { step, type Next, type Outcome, type Table } from './table.js';

export type * from './source-phases.js';

type Out = Outcome<SourcePhase, SourceEffect>;
type At<P extends SourcePhase['at']> = Extract<SourcePhase, { readonly at: P }>;
type WithError = { readonly error: Failure };

const go = (phase: SourcePhase, ...effects: SourceEffect[]): Out => ({ phase, effects });
const stay = (phase: SourcePhase): Out => ({ phase, effects: [] });
/** The event changes nothing here. */
const ignored = <P extends SourcePhase['at']>(at: P): { to: P[]; step: (phase: At<P>) => Out; quiet: true } => ({
  to: [at],
  step: stay,
  quiet: true,
});

// --- before anything was done to the machine ---
const end = (
  at: 'aborted' | 'failed',
  tell: boolean,
): { to: (typeof at)[]; step: (_: SourcePhase, e: WithError) => Out } => ({
  to: [at],
  step: (_, { error }) =>
    tell ? go({ at, error }, { do: 'sendAbort', error }, { do: 'close' }) : go({ at, error }, { do: 'close' }),
});
const untouched = {
  peerGone: end('failed', false),
  peerAborted: end('failed', false),
  failed: end('failed', true),
  cancel: end('aborted', true),
  machineGone: end('failed', true),
};

// --- while the machine is in our hands: each failure hands it back ---
interface Returning {
  readonly outcome?: 'aborted' | 'failed';
  readonly asked?: boolean;
}
function returning(error: Failure, undo: Undo, { outcome = 'failed', asked = false }: Returning = {}): Out {
  return go({ at: 'returning', error, outcome, asked }, { do: 'giveBack', undo });
}
const back = (undo: Undo, outcome: 'aborted' | 'failed' = 'failed') => ({
  to: ['returning' as const],
  step: (_: SourcePhase, { error }: WithError): Out => returning(error, undo, { outcome }),
});
const askedAway: Failure = { code: 'E_PEER_GONE', message: 'the destination had lost this connection' };
const ours = (undo: Undo) => ({
  peerGone: back(undo),
  peerAborted: back(undo),
  declined: back(undo),
  failed: back(undo),
  cancel: back(undo, 'aborted'),
  asked: {
    to: ['returning' as const],
    step: (): Out => returning(askedAway, undo, { asked: true }),
  },
  // There is nothing to give back; the journal's record says that nothing is under way any more.
  machineGone: {
    to: ['failed' as const],
    step: (_: SourcePhase, { error }: WithError): Out =>
      go({ at: 'failed', error }, { do: 'sendAbort', error }, { do: 'journal', state: 'returned' }, { do: 'close' }),
  },
});

const diverged: Failure = {
  code: 'E_DIVERGED',
  message: 'the destination did not arrive at the same registers, devices and instruction',
};

function same(a: FinalState, b: FinalState): boolean {
  return a.icount === b.icount && a.registers === b.registers && a.devices === b.devices;
}

function compare(final: FinalState, ready: FinalState): Out {
  return same(final, ready)
    ? go({ at: 'fencing', lost: null, asked: false }, { do: 'fence' })
    : returning(diverged, 'resume');
}

/** After the guest was stopped a dead QEMU is the loss of its memory: the destination's copy may be the last one. */
const lostMemory = {
  to: ['unresolved' as const],
  step: (_: SourcePhase, { error }: WithError): Out => go({ at: 'unresolved', error }),
};

/** The peer is lost while fencing: remembered, because the tracer's answer must be awaited. */
const loseWhileFencing = {
  to: ['fencing' as const],
  step: ({ asked }: At<'fencing'>, { error }: WithError): Out => stay({ at: 'fencing', lost: error, asked }),
};

/** What was under way when the phase was entered, and is of no consequence in it. */
const late = <P extends SourcePhase['at']>(at: P) => ({
  connected: ignored(at),
  accepted: ignored(at),
  refused: ignored(at),
  armed: ignored(at),
  baseSent: ignored(at),
  handover: ignored(at),
  drained: ignored(at),
  ready: ignored(at),
  fenced: ignored(at),
  peerGone: ignored(at),
  peerAborted: ignored(at),
  declined: ignored(at),
  failed: ignored(at),
  machineGone: ignored(at),
});

const settled = <P extends 'aborted' | 'failed'>(at: P) => ({
  asked: { to: [at], step: (phase: At<P>): Out => go(phase, { do: 'sendAnswer', holder: 'source' }) },
  ...late(at),
  returned: ignored(at),
  cancel: ignored(at),
});

/** The table. docs/protocol.md draws it. */
export const SOURCE_TABLE: Table<SourcePhase, SourceEvent, SourceEffect> = {
  connecting: {
    connected: { to: ['offering'], step: () => go({ at: 'offering' }, { do: 'sendOffer' }) },
    ...untouched,
  },
  offering: {
    accepted: {
      to: ['arming'],
      step: () => go({ at: 'arming' }, { do: 'journal', state: 'recording' }, { do: 'arm' }),
    },
    refused: end('failed', false),
    ...untouched,
  },
  arming: {
    armed: { to: ['shipping'], step: () => go({ at: 'shipping' }, { do: 'ship' }) },
    ...ours('disarm'),
  },
  shipping: {
    baseSent: { to: ['catching-up'], step: () => go({ at: 'catching-up' }, { do: 'converge' }) },
    ...ours('disarm'),
  },
  'catching-up': {
    handover: {
      to: ['draining'],
      step: () => go({ at: 'draining', ready: null }, { do: 'journal', state: 'draining' }, { do: 'finish' }),
    },
    ...ours('disarm'),
  },
  draining: {
    drained: {
      to: ['awaiting-ready', 'fencing', 'returning'],
      step: ({ ready }, { final }) => (ready === null ? stay({ at: 'awaiting-ready', final }) : compare(final, ready)),
    },
    ready: { to: ['draining'], step: (_, { final }) => stay({ at: 'draining', ready: final }) },
    ...ours('resume'),
    machineGone: lostMemory,
  },
  'awaiting-ready': {
    ready: { to: ['fencing', 'returning'], step: ({ final }, event) => compare(final, event.final) },
    ...ours('resume'),
    machineGone: lostMemory,
  },
  fencing: {
    fenced: {
      to: ['relinquishing', 'returning'],
      step: ({ lost, asked }) =>
        lost === null
          ? go(
              { at: 'relinquishing', linked: true, declined: null, asked: false },
              { do: 'journal', state: 'relinquished' },
            )
          : returning(lost, 'reclaim', { asked }),
    },
    // The lease may have run out, or the fence may have taken: `reclaim` undoes either.
    failed: { to: ['returning'], step: ({ asked }, { error }) => returning(error, 'reclaim', { asked }) },
    peerGone: loseWhileFencing,
    peerAborted: loseWhileFencing,
    declined: loseWhileFencing,
    asked: {
      to: ['fencing'],
      step: () => stay({ at: 'fencing', lost: askedAway, asked: true }),
    },
    machineGone: lostMemory,
  },
  relinquishing: {
    journaled: {
      to: ['relinquished', 'reclaiming'],
      step: ({ linked, declined, asked }) => {
        if (declined !== null) return go({ at: 'reclaiming', error: declined }, { do: 'journal', state: 'reclaimed' });
        const answer: SourceEffect[] = asked ? [{ do: 'sendAnswer', holder: 'destination' }] : [];
        return go({ at: 'relinquished' }, ...answer, linked ? { do: 'sendCommit' } : { do: 'redial' });
      },
    },
    journalRefused: {
      to: ['returning'],
      step: ({ asked }, { error }) => returning(error, 'reclaim', { asked }),
    },
    journalUnknown: { to: ['unresolved'], step: (_, { error }) => go({ at: 'unresolved', error }) },
    peerGone: { to: ['relinquishing'], step: (phase) => stay({ ...phase, linked: false }) },
    peerAborted: { to: ['relinquishing'], step: (phase) => stay({ ...phase, linked: false }) },
    declined: { to: ['relinquishing'], step: (phase, { error }) => stay({ ...phase, declined: error }) },
    asked: { to: ['relinquishing'], step: (phase) => stay({ ...phase, asked: true }) },
    machineGone: ignored('relinquishing'),
    failed: ignored('relinquishing'),
  },
  relinquished: {
    live: {
      to: ['retired'],
      step: () =>
        go(
          { at: 'retired' },
          { do: 'journal', state: 'retired' },
          { do: 'sendRetired' },
          { do: 'retire' },
          { do: 'close' },
        ),
    },
    connected: { to: ['relinquished'], step: (phase) => go(phase, { do: 'sendCommit' }) },
    peerGone: { to: ['relinquished'], step: (phase) => go(phase, { do: 'redial' }) },
    asked: {
      to: ['relinquished'],
      step: (phase) => go(phase, { do: 'sendAnswer', holder: 'destination' }),
    },
    declined: {
      to: ['reclaiming'],
      step: (_, { error }) => go({ at: 'reclaiming', error }, { do: 'journal', state: 'reclaimed' }),
    },
    peerAborted: ignored('relinquished'),
    machineGone: ignored('relinquished'),
    failed: ignored('relinquished'),
  },
  reclaiming: {
    journaled: { to: ['returning'], step: ({ error }) => returning(error, 'reclaim') },
    journalRefused: { to: ['unresolved'], step: (_, { error }) => go({ at: 'unresolved', error }) },
    journalUnknown: { to: ['unresolved'], step: (_, { error }) => go({ at: 'unresolved', error }) },
    // The destination has given it up for good: it asked before.
    asked: ignored('reclaiming'),
    peerGone: ignored('reclaiming'),
    declined: ignored('reclaiming'),
    peerAborted: ignored('reclaiming'),
    connected: ignored('reclaiming'),
    machineGone: ignored('reclaiming'),
    failed: ignored('reclaiming'),
  },
  returning: {
    ...late('returning'),
    cancel: ignored('returning'),
    returned: {
      to: ['aborted', 'failed'],
      // The guest first: the peer can wait, and may be gone.
      step: ({ outcome: at, error, asked }) => {
        const answer: SourceEffect[] = asked ? [{ do: 'sendAnswer', holder: 'source' }] : [];
        const told: SourceEffect[] = [...answer, { do: 'sendAbort', error }, { do: 'close' }];
        return go({ at, error }, { do: 'journal', state: 'returned' }, ...told);
      },
    },
    machineGone: { to: ['unresolved'], step: (_, { error }) => go({ at: 'unresolved', error }) },
    asked: { to: ['returning'], step: (phase) => stay({ ...phase, asked: true }) },
  },
  aborted: settled('aborted'),
  failed: settled('failed'),
  retired: {
    live: { to: ['retired'], step: (phase) => go(phase, { do: 'sendRetired' }) },
    asked: { to: ['retired'], step: (phase) => go(phase, { do: 'sendAnswer', holder: 'destination' }) },
    connected: ignored('retired'),
    peerGone: ignored('retired'),
    peerAborted: ignored('retired'),
    machineGone: ignored('retired'),
    failed: ignored('retired'),
  },
  unresolved: {
    ...late('unresolved'),
    returned: ignored('unresolved'),
    // No answer: silence is the truth here, and the destination asks again.
    asked: ignored('unresolved'),
  },
};

/** Follows one event. Pure and total: an event that the phase does not take comes back as `refused`. */
export function nextSource(phase: SourcePhase, event: SourceEvent): Next<SourcePhase, SourceEffect> {
  return step(SOURCE_TABLE, phase, event);
}
