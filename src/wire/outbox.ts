// What waits to be sent. Control frames and the log overtake the image: a segment must not wait behind megabytes of base.
// Invariants: order is kept within a class, but that under a cap (throttle.ts) control frames overtake the log too; once a frame is taken it is written whole; the sender of a frame learns its
// fate exactly once.

import { FRAME_KINDS, type Frame } from './frames.js';

/** A frame that waits, and whom to tell. */
export interface Waiting {
  readonly frame: Frame;
  readonly sent: () => void;
  readonly failed: (error: Error) => void;
}

/** Two queues, drained urgent first. */
export class Outbox {
  readonly #urgent: Waiting[] = [];
  readonly #bulk: Waiting[] = [];

  get length(): number {
    return this.#urgent.length + this.#bulk.length;
  }

  put(waiting: Waiting): void {
    (FRAME_KINDS[waiting.frame.kind].bulk ? this.#bulk : this.#urgent).push(waiting);
  }

  /** The next frame to write: the first urgent one that may go, else the first of the others, if that may. */
  take(mayGo: (frame: Frame) => boolean): Waiting | undefined {
    const index = this.#urgent.findIndex(({ frame }) => mayGo(frame));
    if (index >= 0) return this.#urgent.splice(index, 1)[0];
    return this.#bulk[0] !== undefined && mayGo(this.#bulk[0].frame) ? this.#bulk.shift() : undefined;
  }

  /** The frames that would be next in their class. */
  get heads(): Frame[] {
    return [this.#urgent[0], this.#bulk[0]].flatMap((waiting) => (waiting === undefined ? [] : [waiting.frame]));
  }

  /** Forgets frames that are of no use any more; who sent them learns that they went. */
  drop(isUseless: (frame: Frame) => boolean): void {
    for (const queue of [this.#urgent, this.#bulk]) {
      const kept = queue.filter(({ frame }) => !isUseless(frame));
      const dropped = queue.filter(({ frame }) => isUseless(frame));
      queue.splice(0, queue.length, ...kept);
      for (const { sent } of dropped) sent();
    }
  }

  /** Takes back a frame that has not been taken; false when it is too late. */
  withdraw(waiting: Waiting): boolean {
    for (const queue of [this.#urgent, this.#bulk]) {
      const index = queue.indexOf(waiting);
      if (index >= 0) {
        queue.splice(index, 1);
        return true;
      }
    }
    return false;
  }

  /** Tells everyone who waits that the link is gone. */
  fail(error: Error): void {
    for (const waiting of [...this.#urgent.splice(0), ...this.#bulk.splice(0)]) waiting.failed(error);
  }
}
