// How far and how fast a replay is, for the source's controller.
// Invariants: the newest position is always told, at most one period late; the speed counts only time in which there was
// something to replay, so that a destination that waits for the log is not taken for a slow one.

import { progressMs } from '../limits.js';
import type { TracerEventData } from '../machine/index.js';
import type { ProgressFrame } from '../wire/frames.js';

type Played = TracerEventData<'played'>;

/** Busy time below this says nothing about the speed. */
const busyMsMin = 2;

export class ReplayProgress {
  readonly #timer: NodeJS.Timeout;
  #last: { played: Played; atMs: number } | null = null;
  #from: { played: Played; atMs: number } | null = null;
  #told = -1;

  constructor(readonly tell: (frame: Omit<ProgressFrame, 'restoredBytes'>) => Promise<void>) {
    this.#timer = setInterval(() => this.#tick(), progressMs);
  }

  played(played: Played): void {
    this.#last = { played, atMs: performance.now() };
    this.#from ??= this.#last;
    if (this.#told < 0) this.#tick();
  }

  end(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    if (this.#last === null || this.#from === null || this.#last.played.seq === this.#told) return;
    const { played, atMs } = this.#last;
    const { seq, icount, virtualNs, hostNs } = played;
    const busyMs = atMs - this.#from.atMs - (played.waitNs - this.#from.played.waitNs) / 1e6;
    const known = busyMs >= busyMsMin;
    const replaySpeed = known ? Math.round(((icount - this.#from.played.icount) / busyMs) * 1000) : 0;
    if (known) this.#from = this.#last;
    this.#told = seq;
    const position = { seq, icount, virtualNs, hostNs, receivedBytes: 0, replaySpeed };
    void this.tell({ kind: 'progress', phase: 'replaying', ...position });
  }
}
