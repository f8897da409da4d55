// QEMU's option strings: `virtio-blk-pci,drive=d0,id=x`, and the same as JSON. A comma inside a value is written twice. Nested
// JSON becomes dotted keys, which QEMU means to be the same.
//
// Invariant: what nobody took is known (`rest`), so that it can be refused by name.
import { importDepthMax } from '../../limits.js';

export class OptionString {
  readonly #values: Map<string, string>;
  readonly #taken = new Set<string>();

  private constructor(values: Map<string, string>) {
    this.#values = values;
  }

  /** `first` is the key of a first value that stands alone (`-m 2G`). Null when it is meant as JSON, and is none. */
  static parse(text: string, first?: string): OptionString | null {
    if (!text.trimStart().startsWith('{')) return new OptionString(readPairs(text, first));
    try {
      const values = new Map<string, string>();
      return flatten(JSON.parse(text), '', values, 0) ? new OptionString(values) : null;
    } catch {
      return null;
    }
  }

  /** The value, which counts as taken from now on. */
  take(key: string): string | undefined {
    this.#taken.add(key);
    return this.#values.get(key);
  }

  has(key: string): boolean {
    return this.#values.has(key);
  }

  /** Takes all whose key matches; as they were written, `key=value` each. */
  takeAll(matching: RegExp): string[] {
    return this.rest()
      .filter(([key]) => matching.test(key))
      .map(([key, value]) => {
        this.#taken.add(key);
        return `${key}=${value}`;
      });
  }

  /** What nobody has taken. */
  rest(): [string, string][] {
    return [...this.#values].filter(([key]) => !this.#taken.has(key));
  }
}

/** What QEMU takes for a yes. */
export function isOn(value: string | undefined): boolean {
  return value === 'on' || value === 'yes' || value === 'true' || value === 'y';
}

function readPairs(text: string, first: string | undefined): Map<string, string> {
  const values = new Map<string, string>();
  for (const [index, part] of splitCommas(text).entries()) {
    const equals = part.indexOf('=');
    if (equals >= 0) values.set(part.slice(0, equals), part.slice(equals + 1));
    else if (index === 0 && first !== undefined) values.set(first, part);
    // `readonly` alone is readonly=on, and `noreadonly` off.
    else if (part !== '') values.set(part, 'on');
  }
  return values;
}

/** Splits at single commas; a doubled one is a comma. */
function splitCommas(text: string): string[] {
  const parts: string[] = [];
  let part = '';
  for (let i = 0; i < text.length; i++) {
    const char = text.charAt(i);
    if (char !== ',') part += char;
    else if (text[i + 1] === ',') {
      part += ',';
      i += 1;
    } else {
      parts.push(part);
      part = '';
    }
  }
  return [...parts, part];
}

/** False when it nests beyond all sense, or is no object. */
function flatten(value: unknown, prefix: string, into: Map<string, string>, depth: number): boolean {
  if (depth > importDepthMax) return false;
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value).every(([key, inner]) =>
      flatten(inner, prefix === '' ? key : `${prefix}.${key}`, into, depth + 1),
    );
  }
  if (prefix === '') return false;
  into.set(prefix, typeof value === 'boolean' ? (value ? 'on' : 'off') : String(value));
  return true;
}
