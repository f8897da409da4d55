// How a state machine is written here: a table of phases and the events each takes, so that a reader can check it against
// the diagram in docs/protocol.md, which is drawn from the same table (a test compares the two).
// Invariants: `step` is pure and total: an event that a phase does not take changes nothing and comes back as a refusal; a
// phase is entered only along an arrow that the table declares.

import { TrmigError } from '../errors.js';

export interface PhaseLike {
  readonly at: string;
}

export interface EventLike {
  readonly type: string;
}

/** What an event leads to. Effects are to be done in order; an effect that fails becomes an event. */
export interface Outcome<Phase, Effect> {
  readonly phase: Phase;
  readonly effects: readonly Effect[];
}

/** `refused` is why the event was not taken; the phase is then the old one and there are no effects. */
export interface Next<Phase, Effect> extends Outcome<Phase, Effect> {
  readonly refused: TrmigError | null;
}

/** One arrow, or several when the data decide: the phases it may lead to, and the pure function that chooses. */
export interface Arrow<Phase extends PhaseLike, At, Event, Effect> {
  readonly to: readonly Phase['at'][];
  readonly step: (phase: At, event: Event) => Outcome<Phase, Effect>;
  /** It leaves things as they are; the diagram does not show it. */
  readonly quiet?: true;
}

/** All phases, and for each the events it takes. */
export type Table<Phase extends PhaseLike, Event extends EventLike, Effect> = {
  readonly [P in Phase['at']]: {
    readonly [E in Event['type']]?: Arrow<
      Phase,
      Extract<Phase, { readonly at: P }>,
      Extract<Event, { readonly type: E }>,
      Effect
    >;
  };
};

type AnyArrow<Phase extends PhaseLike, Event, Effect> = Arrow<Phase, Phase, Event, Effect>;

/** Follows the table by one event. Never throws, unless the table contradicts itself. */
export function step<Phase extends PhaseLike, Event extends EventLike, Effect>(
  table: Table<Phase, Event, Effect>,
  phase: Phase,
  event: Event,
): Next<Phase, Effect> {
  // The row and the arrow belong to this very phase and event, which the compiler cannot follow through the look-up.
  const row = table[phase.at as Phase['at']] as Record<string, AnyArrow<Phase, Event, Effect> | undefined>;
  const arrow = row[event.type];
  if (arrow === undefined) return { phase, effects: [], refused: refusal(phase.at, event.type) };
  const outcome = arrow.step(phase, event);
  if (!arrow.to.includes(outcome.phase.at)) {
    throw new TrmigError('E_INTERNAL', `${event.type} led from ${phase.at} to ${outcome.phase.at}: not in the table`);
  }
  return { ...outcome, refused: null };
}

function refusal(at: string, type: string): TrmigError {
  const facts = { phase: at, event: type };
  if (type === 'cancel') return new TrmigError('E_TOO_LATE', `it cannot be cancelled any more: it is ${at}`, { facts });
  return new TrmigError('E_ILLEGAL_EVENT', `${type} has no place while ${at}`, { facts });
}

/** Draws a table as a Mermaid state diagram, without the events that leave things as they are. */
export function drawTable<Phase extends PhaseLike, Event extends EventLike, Effect>(
  table: Table<Phase, Event, Effect>,
  first: Phase['at'],
): string {
  const name = (at: string): string => at.replaceAll('-', '_');
  const lines = ['stateDiagram-v2', `  [*] --> ${name(first)}`];
  const rows = Object.entries(table) as [string, Record<string, AnyArrow<Phase, Event, Effect>>][];
  for (const [at, row] of rows) {
    const byTarget = new Map<string, string[]>();
    for (const [type, arrow] of Object.entries(row)) {
      if (arrow.quiet) continue;
      for (const to of arrow.to) {
        byTarget.set(to, [...(byTarget.get(to) ?? []), type]);
      }
    }
    for (const [to, types] of byTarget) lines.push(`  ${name(at)} --> ${name(to)}: ${types.join(', ')}`);
    if ([...byTarget.keys()].every((to) => to === at)) lines.push(`  ${name(at)} --> [*]`);
  }
  return lines.join('\n');
}
