// A cancelled operation ends in one error, whatever was given to the signal as its reason.
import { TrmigError } from '../errors.js';

/** @throws TrmigError E_ABORTED (or the signal's reason, if that is a TrmigError) when `signal` is aborted. */
export function throwIfAborted(signal: AbortSignal | undefined, what: string): void {
  if (!signal?.aborted) return;
  const reason: unknown = signal.reason;
  if (reason instanceof TrmigError) throw reason;
  throw new TrmigError('E_ABORTED', `${what}: cancelled`, { cause: reason });
}
