// One error root for everything trmig reports to a person or a program. A code is stable: scripts match it, so a code is
// never reused for another meaning. The message says what happened and why; the hint is what mends it.

/** How a program may react: `retry` as it is, `fix` something first, or report a `bug`. */
export type Recovery = 'retry' | 'fix' | 'bug';

interface CodeInfo {
  readonly summary: string;
  readonly hint: string;
  readonly exit: number;
  readonly recovery: Recovery;
}

const code = (summary: string, hint: string, exit = 1, recovery: Recovery = 'fix'): CodeInfo => ({
  summary,
  hint,
  exit,
  recovery,
});

/** Every code trmig can report. docs/errors.md lists the same codes; a test compares the two. */
export const ERROR_CODES = {
  E_ABORTED: code('The operation was cancelled', 'Run it again.', 130, 'retry'),
  E_INTERNAL: code('trmig met a state it should not be in', 'Please report this with the command you ran.', 70, 'bug'),
} as const satisfies Record<string, CodeInfo>;

export type ErrorCode = keyof typeof ERROR_CODES;
export type Facts = Readonly<Record<string, string | number | boolean | null>>;

export interface ErrorDetails {
  /** What mends it, when it is more exact than the code's own hint. */
  readonly hint?: string;
  /** Values a program may want: paths, offsets, sizes. */
  readonly facts?: Facts;
  readonly cause?: unknown;
}

/** The root of all errors that trmig reports. */
export class TrmigError extends Error {
  readonly code: ErrorCode;
  readonly hint: string;
  readonly facts: Facts;

  constructor(errorCode: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'TrmigError';
    this.code = errorCode;
    this.hint = details.hint ?? ERROR_CODES[errorCode].hint;
    this.facts = details.facts ?? {};
  }

  /** The process exit code that this error stands for. */
  get exitCode(): number {
    return ERROR_CODES[this.code].exit;
  }

  get recovery(): Recovery {
    return ERROR_CODES[this.code].recovery;
  }

  /** The stable JSON form that `--json` prints. */
  toJSON(): { code: ErrorCode; message: string; hint: string; facts: Facts } {
    return { code: this.code, message: this.message, hint: this.hint, facts: this.facts };
  }
}

/** Turns anything thrown into a TrmigError; an unknown one becomes E_INTERNAL, an AbortError E_ABORTED. */
export function asTrmigError(thrown: unknown): TrmigError {
  if (thrown instanceof TrmigError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  if (thrown instanceof Error && thrown.name === 'AbortError') {
    return new TrmigError('E_ABORTED', message, { cause: thrown });
  }
  return new TrmigError('E_INTERNAL', message, { cause: thrown });
}
