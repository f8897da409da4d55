// How far and how fast a replay is, for the source's controller.
// Invariants: the newest position is always told, at once or one period after the one before, and when that one has left: a link
// that is away does not have them pile up; the speed counts only time in which there was
// something to replay, so that a destination that waits for the log is not taken for a slow one.

import { progressMs } from '../limits.js';
import type { TracerEventData } from '../machine/index.js';
import type { ProgressFrame } from '../wire/frames.js';

type Played = TracerEventData<'played'>;

/** Busy time below this says nothing about the speed. */
const busyMsMin = 2;

export class ReplayProgress {
  #timer: NodeJS.Timeout | null = null;
  #last: { played: Played; atMs: number } | null = null;
  #from: { played: Played; atMs: number } | null = null;
  #toldMs = -Infinity;
  #telling = false;
  #ended = false;

  constructor(readonly tell: (frame: Omit<ProgressFrame, 'restoredBytes'>) => Promise<void>) {}

  played(played: Played): void {
    this.#last = { played, atMs: performance.now() };
    this.#from ??= this.#last;
    if (this.#timer !== null || this.#telling || this.#ended) return;
    const waitMs = this.#toldMs + progressMs - this.#last.atMs;
    if (waitMs <= 0) this.#tell();
    else this.#timer = setTimeout(() => this.#tell(), waitMs);
  }

  end(): void {
    this.#ended = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #tell(): void {
    this.#timer = null;
    if (this.#last === null || this.#from === null) return;
    const { played, atMs } = this.#last;
    this.#toldMs = performance.now();
    const { seq, icount, virtualNs, hostNs } = played;
    const busyMs = atMs - this.#from.atMs - (played.waitNs - this.#from.played.waitNs) / 1e6;
    const known = busyMs >= busyMsMin;
    const replaySpeed = known ? Math.round(((icount - this.#from.played.icount) / busyMs) * 1000) : 0;
    if (known) this.#from = this.#last;
    const position = { seq, icount, virtualNs, hostNs, receivedBytes: 0, replaySpeed };
    this.#telling = true;
    void this.tell({ kind: 'progress', phase: 'replaying', ...position }).finally(() => {
      this.#telling = false;
      if (this.#last !== null && this.#last.played !== played) this.played(this.#last.played);
    });
  }
}
