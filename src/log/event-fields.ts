// Big-endian fields of an event as exact numbers, in both directions.
import { numberMax } from './adaptive.js';
import type { BitCoder } from './range-coder.js';
import { u32At } from './scan.js';

const u32Count = 2 ** 32;
const nsOfUs = 1000;

/** A 64-bit number; NaN unless it is at most numberMax. */
export function quadAt(bytes: Uint8Array, at: number): number {
  const number = u32At(bytes, at) * u32Count + u32At(bytes, at + 4);
  return number <= numberMax ? number : NaN;
}

/** @throws RangeError for what quadAt would not return */
export function putQuad(bytes: Buffer, at: number, value: number): void {
  if (!(value >= 0 && value <= numberMax)) throw new RangeError(`${value} in an event`);
  bytes.writeUInt32BE(Math.floor(value / u32Count), at);
  bytes.writeUInt32BE(value % u32Count, at + 4);
}

/** A time in ns, as us; NaN unless it is whole us, and at most numberMax of them. */
export function usAt(bytes: Uint8Array, at: number): number {
  const high = u32At(bytes, at);
  const low = (high % nsOfUs) * u32Count + u32At(bytes, at + 4);
  const us = Math.floor(high / nsOfUs) * u32Count + low / nsOfUs;
  return low % nsOfUs === 0 && us <= numberMax ? us : NaN;
}

/** @throws RangeError for what usAt would not return */
export function putUs(bytes: Buffer, at: number, us: number): void {
  if (!(us >= 0 && us <= numberMax)) throw new RangeError(`${us} us in an event`);
  const low = (us % u32Count) * nsOfUs;
  bytes.writeUInt32BE(Math.floor(us / u32Count) * nsOfUs + Math.floor(low / u32Count), at);
  bytes.writeUInt32BE(low % u32Count, at + 4);
}

/** Eight bytes as they are. */
export function codeQuad(coder: BitCoder, bytes: Buffer, at: number): void {
  for (let word = at; word < at + 8; word += 4) {
    const value = coder.raw(coder.reading ? 0 : u32At(bytes, word), 32);
    if (coder.reading) bytes.writeUInt32BE(value, word);
  }
}
