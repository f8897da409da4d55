// How many instructions run before the next event. Mostly as many as the last time that the same happened, or as many as are
// left until a guest's timer is due again: its tick comes at equal distances, however they are cut up.
//
// Invariant: all that is known lies in `learned`, and follows from the counts alone.
import { NumberModel, type Learned } from './adaptive.js';
import type { History } from './history.js';
import { newSlots, type BitCoder } from './range-coder.js';

const exactPasts = 4096;
const kindPasts = 64;
const surenessMax = 15;
const countMax = 2 ** 32 - 1;

export class CountModel {
  readonly #numbers = new NumberModel(kindPasts);
  readonly #hits = newSlots(2 * (surenessMax + 1));
  /** By exact past: the count that followed, and how sure that is. */
  readonly #usual = new Float64Array(exactPasts);
  readonly #usualSure = new Uint16Array(exactPasts);
  /** By kind of past: where the last such count ended, the distance of such ends, the last distance, how sure that is. */
  readonly #endedAt = new Float64Array(kindPasts);
  readonly #period = new Float64Array(kindPasts);
  readonly #distance = new Float64Array(kindPasts);
  readonly #dueSure = new Uint16Array(kindPasts);

  readonly learned: readonly Learned[] = [
    ...[...this.#numbers.learned, this.#hits, this.#usual, this.#usualSure],
    ...[this.#endedAt, this.#period, this.#distance, this.#dueSure],
  ];

  /**
   * @param position  the instruction at which the count begins
   * @throws RangeError when what is read is no count
   */
  code(coder: BitCoder, history: History, position: number, told: number): number {
    const [exact, kinds] = [history.vcpuExact, history.vcpuKinds];
    const usual = this.#usual[exact]!;
    const due = this.#endedAt[kinds]! + this.#period[kinds]! - position;
    const sure = this.#usualSure[exact]!;
    let count = usual;
    const isUsual = coder.bit(this.#hits, sure, told === usual ? 1 : 0) === 1;
    if (!isUsual) {
      const canBeDue = due > 0 && due <= countMax && due !== usual;
      const slot = surenessMax + 1 + this.#dueSure[kinds]!;
      if (canBeDue && coder.bit(this.#hits, slot, told === due ? 1 : 0) === 1) count = due;
      else count = this.#numbers.code(coder, kinds, told);
      if (count > countMax) throw new RangeError(`${count} instructions`);
    }
    this.#usual[exact] = count;
    this.#usualSure[exact] = afterwards(sure, isUsual);
    this.#dueSure[kinds] = afterwards(this.#dueSure[kinds]!, count === due);
    this.#ended(kinds, position + count);
    return count;
  }

  forgetPlace(): void {
    this.#endedAt.fill(0);
  }

  /** A distance is taken for the period when it comes twice: a disturbance does not. */
  #ended(kinds: number, position: number): void {
    const distance = position - this.#endedAt[kinds]!;
    if (distance === this.#distance[kinds]) this.#period[kinds] = distance;
    this.#distance[kinds] = distance;
    this.#endedAt[kinds] = position;
  }
}

const afterwards = (sure: number, hit: boolean): number => (hit ? Math.min(surenessMax, sure + 1) : sure >> 1);
