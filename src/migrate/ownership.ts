// What a journal means: who may run the machine, and what a host does that finds it unfinished. Pure.
// The journal is the only truth; the tracer's fence and lease follow it. A host that has crashed continues in the phase
// that `recover` names, with the effects that it names, as if it had just come there.
// Invariant: over both hosts' journals of one migration, at most one says "here".

import type { DestinationEffect, DestinationPhase } from './destination-states.js';
import type { OwnershipRecord } from './journal.js';
import type { Failure, SourceEffect, SourcePhase, Undo } from './source-states.js';
import type { Outcome } from './table.js';

/**
 * What is seen of this host's QEMU: `running` (dormant or armed), `stopped` under a lease or by it, `fenced` (relinquished
 * in its tracer), `final` (replayed to the log's last instruction), `replaying` (anything before that), `gone`.
 */
export type MachineSeen = 'running' | 'stopped' | 'fenced' | 'final' | 'replaying' | 'gone';

/** Who, by this host's journal, may run the machine; `here` for one that has never been migrated. */
export function currentOwner(records: readonly OwnershipRecord[]): 'here' | 'there' {
  const last = records.at(-1);
  if (last === undefined) return 'here';
  if (last.role === 'source') return last.state === 'relinquished' || last.state === 'retired' ? 'there' : 'here';
  return last.state === 'owner' || last.state === 'live' ? 'here' : 'there';
}

/** What a person is to decide, by this host's journal alone; null when the other host's has to be asked. */
export function ownDecision(records: readonly OwnershipRecord[]): 'here' | 'there' | null {
  const owner = currentOwner(records);
  return owner === 'here' || isSettled(records) ? owner : null;
}

/** The epoch that the next migration away from here has. */
export function nextEpoch(records: readonly OwnershipRecord[]): number {
  return records.reduce((epoch, record) => Math.max(epoch, record.epoch), 0) + 1;
}

/** Whether nothing is under way by this journal. A new migration, either way, needs this. */
export function isSettled(records: readonly OwnershipRecord[]): boolean {
  const last = records.at(-1);
  return last === undefined || ['returned', 'retired', 'live', 'declined', 'discarded'].includes(last.state);
}

/**
 * What a process that is not conducting this migration answers to the other side's question: what this host will never go back
 * on. `unknown` while that is open: an owner that has not run it yet may have lost its QEMU, and the source the last copy.
 */
export function answerFrom(
  records: readonly OwnershipRecord[],
  migrationId: string,
): 'source' | 'destination' | 'unknown' {
  const last = records.findLast((record) => record.migrationId === migrationId);
  switch (last?.state) {
    case 'relinquished':
    case 'retired':
    case 'live':
      return 'destination';
    case 'returned':
    case 'declined':
    case 'discarded':
      return 'source';
    default:
      return 'unknown';
  }
}

/** What a host that is not conducting this migration replies to a commit for it; null: it knows nothing and says nothing. */
export function replyToCommit(records: readonly OwnershipRecord[], migrationId: string): 'live' | 'declined' | null {
  const last = records.findLast((record) => record.migrationId === migrationId);
  if (last === undefined || last.role !== 'destination') return null;
  if (last.state === 'live') return 'live';
  return last.state === 'declined' || last.state === 'discarded' ? 'declined' : null;
}

/** Whether a phase can only be left by the other side's coming back, or by a person. */
export function isStuck(phase: SourcePhase | DestinationPhase): boolean {
  return phase.at === 'unresolved' || phase.at === 'asking' || phase.at === 'relinquished';
}

export type Recovery =
  | { readonly role: 'source'; readonly record: OwnershipRecord; readonly next: Outcome<SourcePhase, SourceEffect> }
  | {
      readonly role: 'destination';
      readonly record: OwnershipRecord;
      readonly next: Outcome<DestinationPhase, DestinationEffect>;
    };

const restarted: Failure = { code: 'E_PEER_GONE', message: 'trmig on this host was restarted during the migration' };
const machineGone: Failure = { code: 'E_MACHINE_GONE', message: 'its QEMU is gone' };
const impossible: Failure = {
  code: 'E_INTERNAL',
  message: 'the guest runs here although the journal does not say so',
};

/** How a restarted host goes on with what its journal shows unfinished; null when everything is settled. */
export function recover(records: readonly OwnershipRecord[], machine: MachineSeen): Recovery | null {
  const record = records.at(-1);
  if (record === undefined || isSettled(records)) return null;
  if (record.role === 'source') return { role: 'source', record, next: recoverSource(record.state, machine) };
  return { role: 'destination', record, next: recoverDestination(record.state, machine) };
}

function recoverSource(state: string, machine: MachineSeen): Outcome<SourcePhase, SourceEffect> {
  if (state === 'relinquished') {
    if (machine === 'running') return { phase: { at: 'unresolved', error: impossible }, effects: [] };
    return { phase: { at: 'relinquished' }, effects: [{ do: 'redial' }] };
  }
  if (machine === 'gone') {
    // Before the guest was stopped nobody else can have it: it died here, as any QEMU may.
    if (state === 'recording') {
      const effects: SourceEffect[] = [{ do: 'journal', state: 'returned' }];
      return { phase: { at: 'failed', error: machineGone }, effects };
    }
    return { phase: { at: 'unresolved', error: machineGone }, effects: [] };
  }
  const undo: Undo = machine === 'fenced' ? 'reclaim' : machine === 'stopped' ? 'resume' : 'disarm';
  const phase: SourcePhase = { at: 'returning', error: restarted, outcome: 'failed', asked: false };
  return { phase, effects: [{ do: 'giveBack', undo }] };
}

function recoverDestination(state: string, machine: MachineSeen): Outcome<DestinationPhase, DestinationEffect> {
  if (state === 'owner') {
    if (machine === 'running') {
      return { phase: { at: 'live' }, effects: [{ do: 'journal', state: 'live' }] };
    }
    if (machine === 'final') return { phase: { at: 'owner' }, effects: [{ do: 'goLive' }] };
    return { phase: { at: 'unresolved', error: machineGone }, effects: [] };
  }
  if (machine === 'running') return { phase: { at: 'unresolved', error: impossible }, effects: [] };
  if (machine === 'replaying') {
    // It never said ready, so the source cannot have relinquished.
    const effects: DestinationEffect[] = [{ do: 'discard' }, { do: 'journal', state: 'discarded' }];
    return { phase: { at: 'discarded', error: restarted }, effects };
  }
  const phase: DestinationPhase = { at: 'asking', machine: machine === 'final' ? 'ready' : 'gone' };
  return { phase, effects: [{ do: 'ask' }] };
}

/** What `trmig status` says of a migration that is not settled. */
export interface Advice {
  readonly summary: string;
  /** What a person can run; null while a living process takes care of it. */
  readonly command: string | null;
}

/**
 * The advice for one host. `conducted`: a living trmig process is at work on it; `stuck`: its phase is `unresolved`, or
 * it waits for a peer that does not answer.
 */
export function advise(
  machineName: string,
  records: readonly OwnershipRecord[],
  conducted: boolean,
  stuck: boolean,
): Advice | null {
  const last = records.at(-1);
  if (last === undefined || isSettled(records)) return null;
  const whose = currentOwner(records) === 'here' ? 'this host owns it' : `${last.peer} may own it`;
  const summary = `migration ${last.migrationId} is unfinished (${last.role}, ${last.state}): ${whose}`;
  return { summary, command: conducted && !stuck ? null : `trmig resolve ${machineName}` };
}
