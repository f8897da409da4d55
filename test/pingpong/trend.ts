// Whether what is measured again and again has grown: the middle of the first third of the samples beside that of the last.
// Medians, so that one look at a bad moment decides nothing.

export interface Sample {
  /** A round, or how often a process had been at work: what the samples are put in order by. */
  readonly at: number;
  readonly value: number;
}

export interface Trend {
  readonly first: number;
  readonly last: number;
  readonly samples: number;
}

/** Fewer say nothing: each third is to have a middle. */
const samplesMin = 9;

/** null for too few samples. */
export function trendOf(samples: readonly Sample[]): Trend | null {
  if (samples.length < samplesMin) return null;
  const values = [...samples].sort((x, y) => x.at - y.at).map(({ value }) => value);
  const third = Math.floor(values.length / 3);
  const first = quantile(values.slice(0, third), 0.5);
  const last = quantile(values.slice(-third), 0.5);
  return { first, last, samples: values.length };
}

/** Whether it has not grown by more than a share and a rest. */
export function isFlat(trend: Trend | null, slack: { readonly share: number; readonly rest: number }): boolean {
  return trend === null || trend.last <= trend.first * (1 + slack.share) + slack.rest;
}

/** The value below which this share of them lies; NaN of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((x, y) => x - y);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}
