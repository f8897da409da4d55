// Quantities that must not be confused carry their unit in the type.

/** A number of guest instructions since the log's start (arming). */
export type Icount = number & { readonly unit: 'icount' };

/**
 * Brands a non-negative integer below 2^53 as an instruction count (104 days of one billion instructions a second).
 * @throws RangeError when `n` is not such an integer.
 */
export function icount(n: number): Icount {
  if (!Number.isSafeInteger(n) || n < 0) throw new RangeError(`not an instruction count: ${n}`);
  return n as Icount;
}
