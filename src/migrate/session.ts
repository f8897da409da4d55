// Runs a state machine: one event at a time through the pure table, then its effects in their order.
// Invariants:
// - Effects never overlap: an effect begins when the one before it has ended, whichever event asked for it. What must go on
//   for long (shipping, converging, replaying) starts something and returns; its end is an event.
// - An effect that throws becomes a `failed` event; the table decides what that means in the phase of that moment.

import { ERROR_CODES, TrmigError, asTrmigError, type ErrorCode } from '../errors.js';
import type { Failure } from './source-states.js';
import type { EventLike, Next, PhaseLike } from './table.js';

export interface SessionOptions<Phase, Event, Effect> {
  readonly initial: Phase;
  readonly next: (phase: Phase, event: Event) => Next<Phase, Effect>;
  readonly perform: (effect: Effect) => Promise<void>;
  /** The event that says that an effect threw. */
  readonly failed: (error: Failure) => Event;
  /** Whether the session is over once its phase's effects are done. */
  readonly isLast: (phase: Phase) => boolean;
  readonly onPhase?: (phase: Phase) => void;
}

/** The plain form of an error, as phases and frames carry it. */
export function failureOf(thrown: unknown): Failure {
  const { code, message } = asTrmigError(thrown);
  return { code, message };
}

/** A plain form as an error again; a code that this version does not know is a peer's refusal. */
export function errorOf({ code, message }: Failure, hint = ''): TrmigError {
  const known = Object.hasOwn(ERROR_CODES, code) ? (code as ErrorCode) : 'E_PEER_REFUSED';
  return new TrmigError(known, message, hint === '' ? {} : { hint });
}

export class Session<Phase extends PhaseLike, Event extends EventLike, Effect> {
  /** Resolves with the last phase when its effects are done. Never rejects. */
  readonly ended: Promise<Phase>;
  /** The first error that an effect threw, whole: phases carry only its plain form. */
  error: TrmigError | null = null;

  readonly #options: SessionOptions<Phase, Event, Effect>;
  #phase: Phase;
  #effects: Effect[] = [];
  #performing = false;
  #resolveEnded!: (phase: Phase) => void;

  constructor(options: SessionOptions<Phase, Event, Effect>) {
    this.#options = options;
    this.#phase = options.initial;
    this.ended = new Promise((resolve) => (this.#resolveEnded = resolve));
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** Starts with effects that belong to the initial phase. */
  begin(effects: readonly Effect[]): void {
    this.#effects.push(...effects);
    void this.#perform();
  }

  /** Follows one event. Returns why it was refused, or null. */
  dispatch(event: Event): TrmigError | null {
    const { phase, effects, refused } = this.#options.next(this.#phase, event);
    if (refused !== null) return refused;
    const moved = phase.at !== this.#phase.at;
    this.#phase = phase;
    this.#effects.push(...effects);
    if (moved) this.#options.onPhase?.(phase);
    void this.#perform();
    return null;
  }

  /** Takes an error that came up beside the effects (a pump, a watcher). */
  fail(thrown: unknown): void {
    this.error ??= asTrmigError(thrown);
    this.dispatch(this.#options.failed(failureOf(thrown)));
  }

  /** Ends the session in the phase where it is: a later command goes on from the journal. */
  stopHere(): void {
    this.#effects.length = 0;
    this.#resolveEnded(this.#phase);
  }

  async #perform(): Promise<void> {
    if (this.#performing) return;
    this.#performing = true;
    for (let effect = this.#effects.shift(); effect !== undefined; effect = this.#effects.shift()) {
      try {
        await this.#options.perform(effect);
      } catch (thrown) {
        this.fail(thrown);
      }
    }
    this.#performing = false;
    if (this.#options.isLast(this.#phase)) this.#resolveEnded(this.#phase);
  }
}
