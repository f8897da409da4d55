// When to hand over, and how hard to pace until then. Pure: the caller brings clock and measurements.
//
// The log falls behind by what it takes to transfer and to replay. With N instructions not yet replayed, a source that
// executes r_s a second and a destination that replays r_d, a source paced by p closes the gap in N / (r_d - r_s (1 - p))
// seconds. Users feel a guest that is much slower than it was, so p is a comfortable one where that closes the gap in good
// time, from the base image's shipping on; only a replay that is too slow for it, or the timeout, make it higher.
//
// Once closed, the gap stays at what the source executes during the pipeline's latency (cut, transfer, replay, report). So
// at last there is a sprint: for a few ms the source nearly stands, and little is left to replay. It is short enough not to be
// felt; if it fails, what the downtime allows is taken, or the guest rests before the next.
//
// Invariants: a prediction is a sum of terms that are measured on this pair of hosts; `handover` is only ever said when the
// prediction fits, or when the time is up and the policy says `switch`.

/** What people ask for. */
export interface ConvergencePolicy {
  readonly maxDowntimeMs: number;
  /** From the migration's start to the handover. */
  readonly timeoutMs: number;
  readonly onTimeout: 'abort' | 'switch';
  /** The most that the source's vCPU may be slowed, 0 … 0.95. */
  readonly maxPace: number;
}

/** One look at both sides. Instruction counts are of the log; rates are per second and unpaced. */
export interface ConvergenceSample {
  /** Since the migration's start. */
  readonly atMs: number;
  /** When the base image was in place, since the migration's start. */
  readonly baseMs: number;
  readonly sourceIcount: number;
  readonly destinationIcount: number;
  /** Whether all that was sent has been replayed, but for what is under way. */
  readonly caughtUp: boolean;
  /** For how long the gap has been closed (`Verdict.close`); 0 while it is not. */
  readonly closeForMs: number;
  /** Recorded time that is not replayed yet; 0 when it is only what is under way. An idle guest lags in time alone. */
  readonly lagLogMs: number;
  /** Recorded time replayed per host time. */
  readonly logSpeed: number;
  readonly sourcePerSecond: number;
  /** 0 while nothing has been replayed. */
  readonly replayPerSecond: number;
  /** From a segment's cut to the report that it was replayed, when nothing lags. */
  readonly latencyMs: number;
  /** The pace that is in force. */
  readonly pace: number;
  readonly rttMs: number;
  readonly fixedMs: FixedTerms;
}

/** What a handover costs whatever the lag. */
export interface FixedTerms {
  /** Stop and quiesce. */
  readonly stopMs: number;
  readonly digestMs: number;
  /** Both journals' syncs. */
  readonly journalMs: number;
  readonly liveMs: number;
}

export interface Verdict {
  readonly decision: 'wait' | 'handover' | 'abort';
  /** Share of time that the source's vCPU should sleep. */
  readonly pace: number;
  readonly predictedDowntimeMs: number;
  /** The prediction's parts. */
  readonly terms: FixedTerms & { readonly linkMs: number; readonly replayMs: number };
  /** Whether the gap is small enough for the tail to matter: then segments should be small. */
  readonly near: boolean;
  /** Whether nothing is behind but what is under way. */
  readonly close: boolean;
  /** Instructions that the destination is behind. */
  readonly lagInstructions: number;
  /** For people: why not yet, or why now. */
  readonly reason: string;
}

/** Until a replay has shown its speed. TCG's slow end: an honest guess errs towards waiting. */
const replayPerSecondGuess = 50e6;
/** A replay slower than this is not believed: it stood still for another reason. */
const logSpeedMin = 0.05;
/** The pace that a guest's users hardly feel: more than half of its speed is left. */
export const comfortablePace = 0.4;
/** A gap should be closed by so many times the base image's time, counted from the start; comfortably if that is possible. */
const closeByBaseTimes = 2;
const closeByBaseTimesMax = 6;
const closeWithinMsMin = 300;
/** What the tail may always have of the allowed downtime: pacing cannot mend the other terms. */
const tailShareMin = 0.25;
/** The share of the allowed tail that a pace aims at: latency varies. */
const tailMargin = 0.6;
/** A sprint tries for a tail as short as this, even where more is allowed: for so long, and so often. */
const tailGoodMs = 2.5;
const sprintMs = 40;
const sprintEveryMs = 400;
/** A gap that is closed replays in less. */
const closeMs = 25;
/** A gap that replays in less is a matter of the last pace, not of catching up. */
const nearMs = 250;
/** How much of the timeout may be spent on closing the gap; the rest is for what was not foreseen. */
const timeoutShare = 0.6;

/** Predicts the downtime of a handover that began now. */
export function predict(
  sample: ConvergenceSample,
): Pick<Verdict, 'predictedDowntimeMs' | 'terms' | 'lagInstructions' | 'near' | 'close'> {
  const lagInstructions = Math.max(0, sample.sourceIcount - sample.destinationIcount);
  const replayPerSecond = sample.replayPerSecond > 0 ? sample.replayPerSecond : replayPerSecondGuess;
  const terms = {
    ...sample.fixedMs,
    // Final segment, ready, commit, live: each crosses once.
    linkMs: 2 * sample.rttMs,
    replayMs: Math.max(
      (lagInstructions / replayPerSecond) * 1000,
      sample.lagLogMs / Math.max(sample.logSpeed, logSpeedMin),
    ),
  };
  const predictedDowntimeMs = Object.values(terms).reduce((sum, ms) => sum + ms, 0);
  const close = sample.caughtUp && terms.replayMs < closeMs;
  return { predictedDowntimeMs, terms, lagInstructions, near: terms.replayMs < nearMs, close };
}

/** The pace that closes a gap of `lag` instructions within `withinMs`. */
function closingPaceWithin(sample: ConvergenceSample, lag: number, withinMs: number): number {
  if (sample.sourcePerSecond <= 0 || sample.replayPerSecond <= 0) return 0;
  return 1 - (sample.replayPerSecond - (lag / Math.max(closeWithinMsMin, withinMs)) * 1000) / sample.sourcePerSecond;
}

/** The pace that closes the gap in time, comfortably if it can be. */
function closingPace(sample: ConvergenceSample, lag: number, timeoutMs: number): number {
  if (sample.replayPerSecond <= 0) return sample.pace; // It has not begun yet.
  const within = (baseTimes: number): number =>
    closingPaceWithin(sample, lag, Math.min(baseTimes * sample.baseMs, timeoutShare * timeoutMs) - sample.atMs);
  return Math.max(Math.min(within(closeByBaseTimes), comfortablePace), within(closeByBaseTimesMax));
}

/** The pace under which what the source executes during the pipeline's latency replays within `tailMs`. */
function lastPace(sample: ConvergenceSample, tailMs: number): number {
  if (sample.sourcePerSecond <= 0 || sample.replayPerSecond <= 0 || sample.latencyMs <= 0) return 0;
  return 1 - (tailMs * tailMargin * sample.replayPerSecond) / (sample.sourcePerSecond * sample.latencyMs);
}

/** Judges one sample. Stateless: the measurements carry the history, smoothed where they are taken. */
export function judge(sample: ConvergenceSample, policy: ConvergencePolicy): Verdict {
  const prediction = predict(sample);
  const { predictedDowntimeMs, terms, lagInstructions } = prediction;
  const fits = sample.caughtUp && predictedDowntimeMs <= policy.maxDowntimeMs;
  const sprints = prediction.close && sample.closeForMs % sprintEveryMs < sprintMs;
  if (fits && prediction.close && (terms.replayMs <= tailGoodMs || !sprints)) {
    return { ...prediction, decision: 'handover', pace: 0, reason: 'the prediction fits' };
  }
  const needs = `a handover would take ${predictedDowntimeMs.toFixed(1)} of ${policy.maxDowntimeMs} ms`;
  if (sample.atMs >= policy.timeoutMs) {
    if (policy.onTimeout === 'abort') return { ...prediction, decision: 'abort', pace: 0, reason: needs };
    return { ...prediction, decision: 'handover', pace: 0, reason: `the time is up; ${needs}` };
  }
  const otherMs = predictedDowntimeMs - terms.replayMs;
  const allowedMs = Math.max(tailShareMin * policy.maxDowntimeMs, policy.maxDowntimeMs - otherMs);
  const closing = closingPace(sample, prediction.close ? 0 : lagInstructions, policy.timeoutMs);
  const last = sprints ? lastPace(sample, Math.min(tailGoodMs, allowedMs)) : lastPace(sample, allowedMs);
  const pace = Math.min(policy.maxPace, Math.max(0, closing, prediction.close ? last : 0));
  return { ...prediction, decision: 'wait', pace, reason: needs };
}
