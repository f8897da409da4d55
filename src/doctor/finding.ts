// What a check of this host found, and the shape of a check.
import type { Home } from '../machine/index.js';

/** `warn`: trmig works, but something is amiss or will not do; `fail`: machines cannot be run, recorded or moved here. */
export type FindingLevel = 'ok' | 'warn' | 'fail';

export interface Finding {
  /** Stable name of the check. */
  readonly check: string;
  readonly level: FindingLevel;
  readonly message: string;
  /** What mends it; null when all is well. */
  readonly hint: string | null;
}

export interface CheckContext {
  readonly home: Home;
  readonly signal?: AbortSignal | undefined;
}

export const ok = (check: string, message: string): Finding => ({ check, level: 'ok', message, hint: null });
export const warn = (check: string, message: string, hint: string): Finding => ({
  check,
  level: 'warn',
  message,
  hint,
});
export const fail = (check: string, message: string, hint: string): Finding => ({
  check,
  level: 'fail',
  message,
  hint,
});
