// The golden files of the wire: byte streams that an older trmig sent, and what is in them.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Frame } from '../../src/wire/frames.js';

export const golden = (name: string): Buffer => readFileSync(path.join('fixtures/wire/v1', name));

/** A frame as one line of JSON: 64-bit numbers as text, bytes as hex, its fields in the order of their names. */
export function asJson(frame: Frame): string {
  const plain = Object.entries(frame).map(([name, value]: [string, unknown]): [string, unknown] => {
    if (typeof value === 'bigint') return [name, String(value)];
    if (Buffer.isBuffer(value)) return [name, value.toString('hex')];
    return [name, value instanceof Uint32Array ? [...value] : value];
  });
  return JSON.stringify(Object.fromEntries(plain.sort(([a], [b]) => (a < b ? -1 : 1))));
}
