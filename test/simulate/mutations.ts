// The protocol with one of its guards removed, by name: a simulation that does not notice is no proof.
import type { DestinationEffect, DestinationPhase } from '../../src/migrate/destination-states.js';
import type { Failure, FinalState, SourceEffect, SourcePhase } from '../../src/migrate/source-phases.js';
import type { Outcome } from '../../src/migrate/table.js';
import { protocol, type DestinationTable, type Guards, type Protocol, type SourceTable } from './protocol.js';

type SourceOut = Outcome<SourcePhase, SourceEffect>;
type DestinationOut = Outcome<DestinationPhase, DestinationEffect>;
type Row<T extends SourceTable | DestinationTable, At extends keyof T> = Partial<T[At]>;

function source<At extends keyof SourceTable>(at: At, row: Row<SourceTable, At>): Protocol {
  return { ...protocol, source: { ...protocol.source, [at]: { ...protocol.source[at], ...row } } };
}
function destination<At extends keyof DestinationTable>(at: At, row: Row<DestinationTable, At>): Protocol {
  return { ...protocol, destination: { ...protocol.destination, [at]: { ...protocol.destination[at], ...row } } };
}
function without(guard: keyof Guards): Protocol {
  return { ...protocol, guards: { ...protocol.guards, [guard]: false } };
}
const sourceOut = (phase: SourcePhase, ...effects: SourceEffect[]): SourceOut => ({ phase, effects });
const destinationOut = (phase: DestinationPhase, ...effects: DestinationEffect[]): DestinationOut => ({
  phase,
  effects,
});
const relinquishing = { at: 'relinquishing', linked: true, declined: null, asked: false } as const;
const relinquish: SourceEffect = { do: 'journal', state: 'relinquished' };
type Failed = { readonly error: Failure };
type Ready = { readonly final: FinalState };

export const mutations: Readonly<Record<string, Protocol>> = {
  'the commit leaves before the journal says relinquished': source('fencing', {
    fenced: {
      to: ['relinquishing'],
      step: () => sourceOut(relinquishing, { do: 'sendCommit' }, relinquish),
    },
  }),
  'it goes live without an owner record': destination('ready', {
    ...protocol.destination.ready,
    commit: { to: ['owner'], step: () => destinationOut({ at: 'owner' }, { do: 'goLive' }) },
  }),
  "a ready guest is discarded without the source's word": destination('ready', {
    ...protocol.destination.ready,
    peerGone: {
      to: ['discarded'],
      step: (_: DestinationPhase, { error }: Failed) =>
        destinationOut({ at: 'discarded', error }, { do: 'discard' }, { do: 'journal', state: 'discarded' }),
    },
  }),
  'the source says "source" and relinquishes afterwards': source('fencing', {
    asked: { to: ['fencing'], step: (phase) => sourceOut(phase, { do: 'sendAnswer', holder: 'source' }) },
  }),
  'the source says "source" before it has the guest back': source('awaiting-ready', {
    asked: {
      to: ['returning'],
      step: (phase) => {
        const asked = protocol.source['awaiting-ready'].asked!.step(phase, { type: 'asked' });
        return sourceOut(asked.phase, { do: 'sendAnswer', holder: 'source' }, ...asked.effects);
      },
    },
  }),
  'the source takes back what was not declined': source('relinquished', {
    peerGone: {
      to: ['reclaiming'],
      step: (_: SourcePhase, { error }: Failed) =>
        sourceOut({ at: 'reclaiming', error }, { do: 'journal', state: 'reclaimed' }),
    },
  }),
  'the digests are not compared': source('awaiting-ready', {
    ready: { to: ['fencing'], step: () => sourceOut({ at: 'fencing', lost: null, asked: false }, { do: 'fence' }) },
  }),
  'the fence is skipped': source('awaiting-ready', {
    ready: {
      to: ['relinquishing', 'returning'],
      step: ({ final }: Ready, event: Ready) =>
        final.registers === event.final.registers
          ? sourceOut(relinquishing, relinquish)
          : protocol.source['awaiting-ready'].ready!.step({ at: 'awaiting-ready', final }, { type: 'ready', ...event }),
    },
  }),
  'an epoch is used again': { ...protocol, nextEpoch: (records) => Math.max(1, protocol.nextEpoch(records) - 1) },
  'a guest is taken although nobody knows whose it is': destination('asking', {
    answer: {
      to: ['taking', 'discarded'],
      step: (phase, event) =>
        event.holder === 'source'
          ? protocol.destination.asking.answer!.step(phase, event)
          : destinationOut({ at: 'taking', lost: null }, { do: 'journal', state: 'owner' }),
    },
  }),
  'a journal that may be written counts as not written': source('relinquishing', {
    journalUnknown: {
      to: ['returning'],
      step: (_: SourcePhase, { error }: Failed) =>
        sourceOut({ at: 'returning', error, outcome: 'failed', asked: false }, { do: 'giveBack', undo: 'reclaim' }),
    },
  }),
  'an owner whose start failed declines': destination('owner', {
    failed: {
      to: ['declining'],
      step: (_: DestinationPhase, { error }: Failed) =>
        destinationOut({ at: 'declining', error }, { do: 'journal', state: 'declined' }),
    },
  }),
  'a restarted source takes back what it has given away': {
    ...protocol,
    recover: (records, machine) => {
      const recovery = protocol.recover(records, machine);
      if (recovery?.role !== 'source' || recovery.record.state !== 'relinquished') return recovery;
      const error = { code: 'E_PEER_GONE', message: 'restarted' };
      const next = sourceOut(
        { at: 'returning', error, outcome: 'failed', asked: false },
        { do: 'giveBack', undo: 'reclaim' },
      );
      return { ...recovery, next };
    },
  },
  'the source answers from a journal that is unfinished': {
    ...protocol,
    answerFrom: (records, id) => {
      const answer = protocol.answerFrom(records, id);
      return answer === 'unknown' ? 'source' : answer;
    },
  },
  'a destination answers from a journal that is unfinished': {
    ...protocol,
    answerFrom: (records, id) => {
      const answer = protocol.answerFrom(records, id);
      return answer === 'unknown' && records.some((one) => one.role === 'destination' && one.migrationId === id)
        ? 'source'
        : answer;
    },
  },
  'a second source begins, or a person settles, beside a suspended one': without('oneSource'),
  'what is read from a journal may not be on disk': without('readsWhatIsSynced'),
  'a destination counts epochs by itself': without('takesEpoch'),
  "an old migration's frames are taken for the new one's": without('ownFramesOnly'),
};
