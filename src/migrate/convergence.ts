// When to hand over, and how much to slow the source until then. A controller without clock or effects: samples in,
// verdicts out, the same samples give the same verdicts.
//
//   predicted downtime = stop + quiesce + transfer of the last log bytes + replay of the lag + digests + journals + go live
//                        + one round trip (two half ones)
//
// Lag is measured twice, because neither measure serves every guest: in instructions (an idle guest executes few and is
// replayed at once, however old its last segment is) and in log time (age of the last replayed segment). Replay speed is
// believed only from intervals in which the destination had work all the time.
// Invariants: the pace is the least that closes the lag by its deadline, 0 while the base is under way; one odd sample
// changes no decision (medians); after the timeout the verdict is never `wait`.

import { paceMax } from '../limits.js';

export interface ConvergencePolicy {
  readonly maxDowntimeMs: number;
  /** From the migration's start. */
  readonly timeoutMs: number;
  readonly onTimeout: 'abort' | 'switch' | 'postcopy';
  /** Highest pace allowed; 0 forbids pacing. At most `paceMax`. */
  readonly paceMax?: number;
}

/** Terms of the downtime that this pair of machines has shown so far, in ms; what is not known yet is an estimate. */
export interface MeasuredTerms {
  readonly stopMs: number;
  readonly quiesceMs: number;
  readonly digestMs: number;
  /** Both journals' syncs. */
  readonly journalMs: number;
  readonly liveMs: number;
}

export interface ConvergenceSample {
  /** Monotonic, since the migration's start. */
  readonly tMs: number;
  /** Since when the base is in place; null while it is under way. */
  readonly baseEndMs: number | null;
  /** How long the base took, from arming. */
  readonly baseMs: number;
  /** Instructions executed by the source: `to` of the last segment that was cut. */
  readonly sourceIcount: number;
  /** Instructions replayed by the destination. */
  readonly destinationIcount: number;
  /** `hostNs` of the last cut segment minus that of the last replayed one, in ms: the lag in log time. */
  readonly lagHostMs: number;
  /** The log's rate on the wire now. */
  readonly logBytesPerS: number;
  /** Log bytes that have not left this host. */
  readonly logQueuedBytes: number;
  /** What the link carries; null while it was never the limit. */
  readonly linkBytesPerS: number | null;
  readonly rttMs: number | null;
  /** The pace in force. */
  readonly pace: number;
  readonly terms: MeasuredTerms;
}

/** The prediction's terms in ms, as the report compares them with what happened. */
export interface PredictedTerms {
  readonly stopMs: number;
  readonly quiesceMs: number;
  readonly transferMs: number;
  readonly tailMs: number;
  readonly digestMs: number;
  readonly journalMs: number;
  readonly liveMs: number;
  readonly rttMs: number;
}

export interface Verdict {
  /** `abort` and `postcopy` only after the timeout, as the policy says. */
  readonly decision: 'wait' | 'handover' | 'abort' | 'postcopy';
  /** To be set now: 0 … paceMax. */
  readonly pace: number;
  readonly predictedDowntimeMs: number;
  readonly terms: PredictedTerms;
  /** One sentence for the report and for a person who waits. */
  readonly reason: string;
}

/** Rates are taken over at least so long: shorter ones see the cutting of segments. */
const windowMsMin = 200;
const historyMs = 1000;
/** More lag than that is work for the destination, less is the pipe itself (segment, transfer, report). */
const busyLagMs = 60;
const mediansOf = 5;
/** Catching up is to take so many times what the base took: the whole then stays under four times. */
const catchUpPerBase = 1.6;
const catchUpMsMin = 1000;
/** Of the time left, so that the end does not fall on the timeout itself. */
const timeoutShare = 0.8;
/** Beyond the least pace that works, as speeds are measured with an error. */
const paceMargin = 0.03;
/** A pace is lowered slowly: the lag that it has won would come back. */
const paceFallPerS = 0.2;

interface Point {
  readonly tMs: number;
  readonly source: number;
  readonly destination: number;
  readonly lagHostMs: number;
  /** In force since the point before. */
  readonly pace: number;
}

/** Judges one migration. */
export class Convergence {
  readonly #policy: ConvergencePolicy;
  readonly #paceMax: number;
  #points: Point[] = [];
  readonly #recordSpeeds: number[] = [];
  readonly #replaySpeeds: number[] = [];
  readonly #predictions: number[] = [];
  #pace = 0;
  #lastMs = 0;

  constructor(policy: ConvergencePolicy) {
    this.#policy = policy;
    this.#paceMax = Math.min(policy.paceMax ?? paceMax, paceMax);
  }

  /** Instructions per second: the source's as if it were not paced, the destination's when it has work; 0 when unknown. */
  get speeds(): { readonly record: number; readonly replay: number } {
    return { record: median(this.#recordSpeeds), replay: median(this.#replaySpeeds) };
  }

  judge(sample: ConvergenceSample): Verdict {
    this.#measure(sample);
    const terms = this.#predict(sample);
    const predictedDowntimeMs = sumOf(terms);
    remember(this.#predictions, predictedDowntimeMs, 3);
    const verdict = (decision: Verdict['decision'], reason: string): Verdict => {
      return { decision, pace: this.#pace, predictedDowntimeMs, terms, reason };
    };
    const { maxDowntimeMs, timeoutMs, onTimeout } = this.#policy;
    const late = sample.tMs >= timeoutMs;
    if (sample.baseEndMs === null) {
      // Without the base the destination has nothing to switch to.
      if (late) return verdict(onTimeout === 'postcopy' ? 'postcopy' : 'abort', 'the base did not arrive in time');
      return verdict('wait', 'the base is under way');
    }
    const likelyMs = median(this.#predictions);
    if (this.#predictions.length === 3 && likelyMs <= maxDowntimeMs && predictedDowntimeMs <= maxDowntimeMs * 1.25) {
      return verdict('handover', `${ms(likelyMs)} of downtime are predicted, ${ms(maxDowntimeMs)} are allowed`);
    }
    if (late) {
      const why = `${ms(likelyMs)} of downtime are predicted after ${ms(timeoutMs)}, ${ms(maxDowntimeMs)} are allowed`;
      return verdict(onTimeout === 'switch' ? 'handover' : onTimeout, why);
    }
    this.#pace = this.#nextPace(sample, terms, sample.baseEndMs);
    const share = Math.round(this.#pace * 100);
    const lag = `${ms(sample.lagHostMs)} behind`;
    return verdict('wait', share === 0 ? lag : `${lag}, the source slowed by ${share} %`);
  }

  #measure(sample: ConvergenceSample): void {
    const { tMs, sourceIcount: source, destinationIcount: destination, lagHostMs, pace } = sample;
    this.#points = this.#points.filter((point) => point.tMs >= tMs - historyMs);
    const from = this.#points.findLast((point) => point.tMs <= tMs - windowMsMin);
    this.#points.push({ tMs, source, destination, lagHostMs, pace });
    if (from === undefined) return;
    const seconds = (tMs - from.tMs) / 1000;
    const recorded = (source - from.source) / seconds;
    remember(this.#recordSpeeds, recorded / Math.max(this.#unpacedShare(from), 1 - paceMax), mediansOf);
    const busy = this.#points.every((point) => point.tMs < from.tMs || point.lagHostMs > busyLagMs);
    if (busy && sample.baseEndMs !== null && from.tMs >= sample.baseEndMs) {
      remember(this.#replaySpeeds, (destination - from.destination) / seconds, mediansOf);
    }
  }

  /** The share of the time since `from` in which the source was let run. */
  #unpacedShare(from: Point): number {
    let [runMs, beforeMs] = [0, from.tMs];
    for (const { tMs, pace } of this.#points) {
      if (tMs <= from.tMs) continue;
      runMs += (tMs - beforeMs) * (1 - pace);
      beforeMs = tMs;
    }
    return runMs / (beforeMs - from.tMs);
  }

  #predict(sample: ConvergenceSample): PredictedTerms {
    const { stopMs, quiesceMs, digestMs, journalMs, liveMs } = sample.terms;
    const link = sample.linkBytesPerS;
    const transferMs = link === null || link <= 0 ? 0 : (sample.logQueuedBytes * 1000) / link;
    return {
      stopMs,
      quiesceMs,
      transferMs,
      tailMs: this.#tailMs(sample),
      digestMs,
      journalMs,
      liveMs,
      rttMs: sample.rttMs ?? 0,
    };
  }

  /** How long the destination would replay if the source stopped now. */
  #tailMs(sample: ConvergenceSample): number {
    const behind = Math.max(0, sample.sourceIcount - sample.destinationIcount);
    const lagHostMs = Math.max(0, sample.lagHostMs);
    const { replay } = this.speeds;
    if (replay <= 0) return lagHostMs;
    const replayMs = (behind * 1000) / replay;
    return lagHostMs > busyLagMs ? replayMs : Math.min(replayMs, lagHostMs);
  }

  /**
   * The least pace that closes the lag by its deadline: the source may run at what the destination replays, less what the
   * lag must shrink by per second.
   */
  #nextPace(sample: ConvergenceSample, terms: PredictedTerms, baseEndMs: number): number {
    const elapsedS = Math.max(0, sample.tMs - this.#lastMs) / 1000;
    this.#lastMs = sample.tMs;
    const { record, replay } = this.speeds;
    if (record <= 0 || replay <= 0) return this.#pace;
    const fixedMs = sumOf(terms) - terms.tailMs;
    const allowed = (Math.max(0, this.#policy.maxDowntimeMs - fixedMs) / 2000) * replay;
    const excess = Math.max(0, sample.sourceIcount - sample.destinationIcount - allowed);
    const deadlineMs = Math.min(
      baseEndMs + Math.max(catchUpMsMin, catchUpPerBase * sample.baseMs),
      this.#policy.timeoutMs * timeoutShare,
    );
    const leftS = Math.max(deadlineMs - sample.tMs, catchUpMsMin / 2) / 1000;
    const needed = 1 - (replay - excess / leftS) / record;
    const wanted = excess === 0 && needed <= 0 ? 0 : Math.min(this.#paceMax, Math.max(0, needed + paceMargin));
    return Math.max(
      wanted < paceMargin * 1.5 ? 0 : wanted,
      Math.min(this.#pace, this.#pace - paceFallPerS * elapsedS),
      0,
    );
  }
}

const sumOf = (terms: PredictedTerms): number =>
  Object.values(terms as unknown as Record<string, number>).reduce((sum, term) => sum + term, 0);

const ms = (value: number): string => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;

function remember(values: number[], value: number, countMax: number): void {
  values.push(value);
  if (values.length > countMax) values.shift();
}

/** 0 for no values. */
function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return 0;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
