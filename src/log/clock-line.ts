// Where the two logged clocks stand, so that a reading of either is a small number: both tick with the host's time, hence a
// reading of one says how far the other must be by now.
//
// CLOCK_HOST counts microseconds (QEMU asks gettimeofday), CLOCK_VIRTUAL_RT nanoseconds of another origin. Their distance is
// constant until somebody sets a clock; each pair of readings bounds it from one side.
//
// Invariant: all that is known lies in `learned`, and follows from the readings alone: both ends of a link compute the same.
import type { Learned } from './adaptive.js';

// Cells of the state. `host` is in ns after `origin` (us), so that it is exact beside `virtual`.
const virtual = 0;
const host = 1;
const origin = 2;
const distanceMin = 3;
const distanceMax = 4;
const met = 5; // whether a CLOCK_HOST was

const unmet = [0, 0, 0, -Infinity, Infinity, 0] as const;

const nsOfUs = 1000;

export class ClockLine {
  readonly #state = Float64Array.from(unmet);
  readonly learned: readonly Learned[] = [this.#state];

  /** The least that CLOCK_VIRTUAL_RT can show now, in ns. */
  get virtualFrom(): number {
    const state = this.#state;
    return Math.max(state[virtual]!, state[host]! - state[distanceMax]!);
  }

  /** The least that CLOCK_HOST can show now, in us. */
  get hostFrom(): number {
    const state = this.#state;
    const least = Math.max(state[host]!, state[virtual]! + state[distanceMin]!);
    return state[origin]! + Math.floor(least / nsOfUs);
  }

  forget(): void {
    this.#state.set(unmet);
  }

  /** A reading in ns; NaN for one that is no number, which says nothing. */
  tookVirtual(ns: number): void {
    if (Number.isNaN(ns)) return;
    const state = this.#state;
    state[virtual] = ns;
    if (state[met] === 1) state[distanceMin] = Math.max(state[distanceMin]!, state[host]! - ns);
    this.#doubt();
  }

  /** A reading in us; NaN for one that is no number, which says nothing. */
  tookHost(us: number): void {
    if (Number.isNaN(us)) return;
    const state = this.#state;
    if (state[met] === 0) state[origin] = us;
    state[met] = 1;
    state[host] = (us - state[origin]!) * nsOfUs;
    state[distanceMax] = Math.min(state[distanceMax]!, state[host] + nsOfUs - state[virtual]!);
    this.#doubt();
  }

  /** Somebody has set a clock: what was learned of the distance does not hold any more. */
  #doubt(): void {
    const state = this.#state;
    if (state[distanceMin]! <= state[distanceMax]!) return;
    state[distanceMin] = -Infinity;
    state[distanceMax] = Infinity;
  }
}
