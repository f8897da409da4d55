// What a benchmark says about a quantity: the least, the middle and the most of its runs, never one number alone.

/** One quantity over several runs. */
export interface Figure {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

/** The figure of some values; null when there are none (a run that never got there has no downtime). */
export function figure(values: readonly number[]): Figure | null {
  const sorted = values.filter((value) => Number.isFinite(value)).sort((a, b) => a - b);
  if (sorted.length === 0) return null;
  const middle = sorted.length / 2;
  const median = sorted.length % 2 === 1 ? sorted[Math.floor(middle)]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { min: round(sorted[0]!), median: round(median), max: round(sorted.at(-1)!) };
}

/** Five significant digits: more would only claim a precision that nothing here has. */
function round(value: number): number {
  return Number.isInteger(value) ? value : Number(value.toPrecision(5));
}
