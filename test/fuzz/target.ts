// What a fuzz target is, and the property that all of them hold: any bytes at all become a value or a TrmigError that says
// what is wrong with them. Whatever else is thrown is a bug, and so is E_INTERNAL, which says that we did not foresee it.
import { TrmigError } from '../../src/errors.js';

export interface Target {
  /** What inputs begin as: honest ones from our own encoders, and old damage. The committed findings come on top. */
  readonly seeds: () => readonly Uint8Array[] | Promise<readonly Uint8Array[]>;
  /** Throws when the bytes break something. Keeps nothing from one call to the next that could change its result. */
  readonly run: (bytes: Buffer) => void | Promise<void>;
  /** Longer inputs are not tried. */
  readonly bytesMax?: number;
}

/** Whether a parser may end so. */
export function isRefusal(thrown: unknown): thrown is TrmigError {
  return thrown instanceof TrmigError && thrown.code !== 'E_INTERNAL';
}

/** The parser's value, or undefined when it refuses; throws whatever no parser may throw. */
export function attempt<Value>(parse: () => Value): Value | undefined {
  try {
    return parse();
  } catch (thrown) {
    if (isRefusal(thrown)) return undefined;
    throw thrown;
  }
}

/** `attempt` for what takes time. */
export async function attemptLater<Value>(parse: () => Promise<Value>): Promise<Value | undefined> {
  try {
    return await parse();
  } catch (thrown) {
    if (isRefusal(thrown)) return undefined;
    throw thrown;
  }
}

/** For what an accepted value must hold. */
export function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(`broken: ${what}`);
}
