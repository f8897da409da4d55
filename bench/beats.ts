// How long a guest gave no sign of life, as somebody sees it who only has the guest's beats (fixtures/guests, `beat=`) or
// another thing that it does at a steady pace, such as answering datagrams.
//
// Between two beats lie one period of the guest's clock and whatever time the guest did not run. Its clock stands while it is
// stopped, and may be slow while it is recorded or throttled: so the period is not what the guest was told, but what is seen,
// halfway between the usual gap before the handover and the one after it.

/** What the beats around one move show, ms. */
export interface Outage {
  /** The longest gap from the last beat on the source on, less the usual gap: what the handover cost. */
  readonly outageMs: number;
  /** The longest gap in all of the move, less the usual gap before it: pauses and throttling too. */
  readonly stallMs: number;
}

/** What is usual is taken from so much time. */
const usualMs = 500;

const gaps = (beats: readonly number[]): number[] => beats.slice(1).map((at, index) => at - beats[index]!);

/** The middle one; 0 of none, which then takes nothing off. */
function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
}

const within = (beats: readonly number[], fromMs: number, toMs: number): number[] =>
  beats.filter((at) => at >= fromMs && at <= toMs);

/** The longest gap between beats from one moment to another; one that reaches beyond them counts whole. */
function longest(beats: readonly number[], fromMs: number, toMs: number): number {
  return Math.max(0, ...beats.slice(1).map((at, i) => (at >= fromMs && beats[i]! <= toMs ? at - beats[i]! : 0)));
}

/**
 * The outage of a guest that moved from one console to another. Beats are in ms of one clock, ascending.
 * Null when either console has none: nothing was seen then.
 */
export function outageBetween(
  source: readonly number[],
  destination: readonly number[],
  move: { readonly beganMs: number; readonly endedMs: number },
): Outage | null {
  const [last, first] = [source.at(-1), destination[0]];
  if (last === undefined || first === undefined) return null;
  const before = median(gaps(within(source, last - usualMs, last)));
  const after = median(gaps(within(destination, destination.at(-1)! - usualMs, Infinity)));
  const all = [...source, ...destination];
  return {
    outageMs: Math.max(0, longest(all, first, move.endedMs) - (before + after) / 2),
    stallMs: stall(all, move),
  };
}

/** The longest stall of a guest that may have stayed where it was: null when there were no beats. */
export function stallDuring(
  beats: readonly number[],
  move: { readonly beganMs: number; readonly endedMs: number },
): number | null {
  return beats.length < 2 ? null : stall(beats, move);
}

function stall(beats: readonly number[], { beganMs, endedMs }: { beganMs: number; endedMs: number }): number {
  const usual = median(gaps(within(beats, beganMs - usualMs, beganMs)));
  return Math.max(0, longest(beats, beganMs, endedMs) - usual);
}

/** The longest silence of a steady series in which nothing else marks the handover: less its usual gap. */
export function silence(beats: readonly number[]): number | null {
  if (beats.length < 2) return null;
  return Math.max(0, longest(beats, -Infinity, Infinity) - median(gaps(beats)));
}
