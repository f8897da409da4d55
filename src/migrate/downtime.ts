// The guest's pause at the handover, out of what both hosts have measured of it. Neither host's clock knows the other's: the ways
// between them are what is left of the source's own time.

import type { FinishReply } from '../machine/index.js';
import type { LiveFrame, ReadyFrame } from '../wire/frames.js';
import type { DowntimeTerms } from './report.js';

/** Frames with when they came, ms of the source's monotonic clock. */
export interface MeasuredHandover {
  readonly live: { readonly frame: LiveFrame; readonly atMs: number };
  readonly ready: { readonly frame: ReadyFrame; readonly atMs: number };
  readonly finished: FinishReply;
  readonly committedMs: number;
}

export interface MeasuredDowntime {
  readonly downtimeMs: number;
  /** They sum to `downtimeMs`. */
  readonly terms: DowntimeTerms;
}

const ms = (ns: number): number => ns / 1e6;

export function measureDowntime({ live, ready, finished, committedMs }: MeasuredHandover): MeasuredDowntime {
  const { pauses, hostNs: stoppedNs } = finished;
  // The commit took half of what its round trip took beside the destination's work.
  const wayMs = Math.max(0, live.atMs - committedMs - ms(live.frame.totalNs)) / 2;
  const downtimeMs = committedMs + wayMs + ms(live.frame.totalNs) - ms(stoppedNs);
  const stopMs = ms(pauses.stopNs);
  const quiesceMs = ms(pauses.quiesceNs);
  const digestMs = ms(ready.frame.digestNs);
  const ownershipMs = Math.max(0, committedMs - ready.atMs) + ms(live.frame.journalNs);
  const liveMs = ms(live.frame.flipNs + live.frame.startNs);
  const tailMs = Math.max(0, ready.atMs - ms(stoppedNs) - stopMs - quiesceMs - digestMs);
  const linkMs = downtimeMs - (stopMs + quiesceMs + tailMs + digestMs + ownershipMs + liveMs);
  return { downtimeMs, terms: { stopMs, quiesceMs, tailMs, digestMs, ownershipMs, liveMs, linkMs } };
}
