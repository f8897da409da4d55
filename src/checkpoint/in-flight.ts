// Chunks that are being written while the next ones arrive.
// Invariant: at most `captureConcurrency` at once; whoever adds one waits for that, which is the sender's backpressure.

import { captureConcurrency } from '../limits.js';

export class InFlight {
  #underway: Promise<void>[] = [];

  /** Begins one more once there is room. @throws what an earlier one failed with */
  async add(begin: () => Promise<void>): Promise<void> {
    if (this.#underway.length >= captureConcurrency) await this.#underway.shift();
    const written = begin();
    written.catch(() => undefined); // Reported when its turn comes.
    this.#underway.push(written);
  }

  /** Waits until all are done. @throws what the first that failed failed with */
  async done(): Promise<void> {
    while (this.#underway.length > 0) await this.#underway.shift();
  }

  /** Waits until nothing is being written any more, however it went. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#underway);
  }
}
