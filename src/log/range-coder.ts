// Decisions to bytes and back: a binary arithmetic coder whose probabilities adapt. A decision that was expected costs a
// hundredth of a bit, a surprise a few; there is no block, no table and no header, so a segment of a few events is a few bytes.
//
// Writer and reader are one interface, `BitCoder`: a model tells it each decision, and is told what it was. So a model is
// written once, and both ends walk it alike.
//
// Invariants:
// - low <= high, and the two differ in their top byte between decisions; both halves of a decision are never empty.
// - A reader never reads past its bytes: behind them it sees zeros, which the writer may therefore leave away.
//
// low, high and code are unsigned 32-bit numbers kept as signed ones: so V8 keeps them in registers, not on the heap.

/** Adaptive probabilities, one a slot: 16 bits of probability that the decision is 1, then 8 bits of how often it was met. */
export type Slots = Int32Array;

const metMax = 255;
const unknown = 0x8000 << 8;

/** So many decisions of which nothing is known. */
export function newSlots(count: number): Slots {
  return new Int32Array(count).fill(unknown);
}

/** By how often it was met: how far a probability moves towards the outcome, of 2^15. Much at first, little later. */
const steps = Int32Array.from({ length: metMax + 1 }, (_, met) => Math.round(32_768 / (Math.min(met, 160) + 1.6)));

/** A slot after another outcome. Its probability stays within 1 … 65535: nothing is ever impossible. */
function learned(state: number, bit: number): number {
  const met = state & metMax;
  const chance = state >> 8;
  const step = steps[met]!;
  const next =
    bit === 1 ? chance + (Math.imul(65_535 - chance, step) >> 15) : chance - (Math.imul(chance - 1, step) >> 15);
  return (next << 8) | (met < metMax ? met + 1 : metMax);
}

/** The last number of the lower part, which stands for the outcome 1. */
function split(low: number, high: number, chance: number): number {
  const range = (high - low) | 0;
  return (low + Math.imul(range >>> 16, chance) + (Math.imul(range & 0xffff, chance) >>> 16)) | 0;
}

export interface BitCoder {
  /** Whether decisions are read; a reader ignores those that it is told. */
  readonly reading: boolean;
  /** One decision under the probability in `slots[slot]`, which learns from it. Returns the decision. */
  bit(slots: Slots, slot: number, bit: number): number;
  /** `count` decisions that nothing is known about, as a number below 2^count; `count` <= 32. */
  raw(value: number, count: number): number;
}

const differs = 0xff00_0000 | 0;

export class BitWriter implements BitCoder {
  readonly reading = false;
  #low = 0;
  #high = -1;
  #bytes = Buffer.allocUnsafe(512);
  #filled = 0;

  bit(slots: Slots, slot: number, bit: number): number {
    const state = slots[slot]!;
    const middle = split(this.#low, this.#high, state >> 8);
    if (bit === 1) this.#high = middle;
    else this.#low = (middle + 1) | 0;
    slots[slot] = learned(state, bit);
    while (((this.#low ^ this.#high) & differs) === 0) this.#shift();
    return bit;
  }

  raw(value: number, count: number): number {
    for (let at = count - 1; at >= 0; at--) {
      const middle = (this.#low + ((this.#high - this.#low) >>> 1)) | 0;
      if (((value >>> at) & 1) === 1) this.#high = middle;
      else this.#low = (middle + 1) | 0;
      while (((this.#low ^ this.#high) & differs) === 0) this.#shift();
    }
    return value;
  }

  /** All bytes; the writer takes no more. `whole`: other bytes will follow them, so that no zeros may be left away. */
  finish(whole: boolean): Buffer {
    const kept = whole ? 4 : tailBytes(this.#low, this.#high);
    const tail = whole ? this.#high >>> 0 : roundedUp(this.#low, kept);
    for (let at = 0; at < kept; at++) this.#put((tail >>> (24 - 8 * at)) & 0xff);
    if (!whole) while (this.#filled > 0 && this.#bytes[this.#filled - 1] === 0) this.#filled--;
    return this.#bytes.subarray(0, this.#filled);
  }

  #shift(): void {
    this.#put(this.#high >>> 24);
    this.#low = this.#low << 8;
    this.#high = (this.#high << 8) | 0xff;
  }

  #put(byte: number): void {
    if (this.#filled === this.#bytes.length) {
      const larger = Buffer.allocUnsafe(this.#bytes.length * 2);
      this.#bytes.copy(larger);
      this.#bytes = larger;
    }
    this.#bytes[this.#filled++] = byte;
  }
}

const sign = 0x8000_0000 | 0; // turned over, it makes signed numbers compare as unsigned ones do

export class BitReader implements BitCoder {
  readonly reading = true;
  #low = 0;
  #high = -1;
  #code = 0;
  #at = 0;

  constructor(readonly bytes: Uint8Array) {
    for (let count = 0; count < 4; count++) this.#code = (this.#code << 8) | this.#next();
  }

  bit(slots: Slots, slot: number): number {
    const state = slots[slot]!;
    const bit = this.#decide(split(this.#low, this.#high, state >> 8));
    slots[slot] = learned(state, bit);
    return bit;
  }

  raw(_value: number, count: number): number {
    let value = 0;
    for (let at = 0; at < count; at++) {
      value = (value << 1) | this.#decide((this.#low + ((this.#high - this.#low) >>> 1)) | 0);
    }
    return value >>> 0;
  }

  /** Bytes that a writer finished as `whole` has written for the decisions so far; what follows them is not ours. */
  get wholeBytes(): number {
    return this.#at;
  }

  /** Whether the bytes go no further than a writer that finished here would have gone. */
  get isAtEnd(): boolean {
    const length = this.bytes.length;
    if (length > 0 && this.bytes[length - 1] === 0) return false;
    return length <= this.#at - 4 + tailBytes(this.#low, this.#high);
  }

  #decide(middle: number): number {
    const bit = (this.#code ^ sign) <= (middle ^ sign) ? 1 : 0;
    if (bit === 1) this.#high = middle;
    else this.#low = (middle + 1) | 0;
    while (((this.#low ^ this.#high) & differs) === 0) {
      this.#low = this.#low << 8;
      this.#high = (this.#high << 8) | 0xff;
      this.#code = (this.#code << 8) | this.#next();
    }
    return bit;
  }

  #next(): number {
    const byte = this.#at < this.bytes.length ? this.bytes[this.#at]! : 0;
    this.#at++;
    return byte;
  }
}

/** `low`, rounded up to a number whose bytes after the first `kept` are zero; 2^32 when there is none below that. */
function roundedUp(low: number, kept: number): number {
  const unit = 2 ** (32 - 8 * kept);
  return Math.ceil((low >>> 0) / unit) * unit;
}

/** How few bytes name a number between low and high, zeros behind them. */
function tailBytes(low: number, high: number): number {
  for (let kept = 0; kept < 4; kept++) if (roundedUp(low, kept) <= high >>> 0) return kept;
  return 4;
}
