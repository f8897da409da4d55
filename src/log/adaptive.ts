// What the fields of a log are coded with: numbers, symbols and bytes, as decisions whose probabilities adapt.
//
// Invariant: everything that a model has learned lies in its typed arrays, which `learned` lists. To copy them is to copy
// what is known; that is how a coder begins anew.
import { newSlots, type BitCoder, type Slots } from './range-coder.js';

export type Learned = Int32Array | Float64Array | Uint16Array;

const lengthBits = 6;
const lengthSlots = 1 << lengthBits;
/** Of a number's bits behind its highest one so many are learned; the rest is noise. */
const leadingBits = 4;
const leadingSlots = 1 << leadingBits;
/** Longer numbers are too rare to tell apart by their length. */
const lengthsApart = 40;
const numberSlots = lengthSlots + (lengthsApart + 1) * leadingSlots;
const powers = Float64Array.from({ length: 64 }, (_, bits) => 2 ** bits);

/** Numbers are below 2^52: exact in a double, with room to add. */
const numberBitsMax = 52;
export const numberMax = 2 ** numberBitsMax - 1;

/** Whole numbers by their length in bits: each context learns which lengths are usual, and how such numbers begin. */
export class NumberModel {
  readonly #slots: Slots;
  readonly learned: readonly Learned[];

  constructor(contexts: number) {
    this.#slots = newSlots(contexts * numberSlots);
    this.learned = [this.#slots];
  }

  /**
   * @param value 0 … numberMax
   * @throws RangeError when what is read is no such number
   */
  code(coder: BitCoder, context: number, value: number): number {
    const base = context * numberSlots;
    const length = codeTree(coder, this.#slots, base, lengthBits, bitLength(value));
    if (length <= 1) return length;
    if (length > numberBitsMax) throw new RangeError(`a number of ${length} bits`);
    const leading = Math.min(leadingBits, length - 1);
    const rest = length - 1 - leading;
    const unit = powers[rest]!;
    const top = Math.floor(value / unit);
    const leads = base + lengthSlots + Math.min(length, lengthsApart) * leadingSlots;
    const lead = codeTree(coder, this.#slots, leads, leading, top & ((1 << leading) - 1));
    return ((1 << leading) + lead) * unit + codeRaw(coder, value - top * unit, rest);
  }
}

function codeRaw(coder: BitCoder, value: number, count: number): number {
  if (count <= 32) return coder.raw(value, count);
  const unit = powers[32]!;
  const high = coder.raw(Math.floor(value / unit), count - 32);
  return high * unit + coder.raw(value % unit, 32);
}

/** Bits of a whole number below 2^53; 0 of 0. */
function bitLength(value: number): number {
  const high = Math.floor(value / powers[32]!);
  return high === 0 ? 32 - Math.clz32(value) : 64 - Math.clz32(high);
}

/** A number of `bits` bits, each under the ones before it. Uses the slots base + 1 … base + 2^bits - 1. */
function codeTree(coder: BitCoder, slots: Slots, base: number, bits: number, value: number): number {
  let node = 1;
  for (let at = bits - 1; at >= 0; at--) node = (node << 1) | coder.bit(slots, base + node, (value >> at) & 1);
  return node - (1 << bits);
}

const symbolBits = 6;
const symbolMask = (1 << symbolBits) - 1;
const surenessMax = 15;
const guessSlots = (surenessMax + 1) << symbolBits;
const longPasts = 4096;
const shortPasts = 1024;

/** Which of 64 symbols comes next: first what followed the same long past, then the same short one, then any. */
export class SymbolModel {
  /** By past: the symbol that followed, above it how sure that is. */
  readonly #long = new Uint16Array(longPasts);
  readonly #short = new Uint16Array(shortPasts);
  readonly #longHits = newSlots(guessSlots);
  readonly #shortHits = newSlots(guessSlots);
  readonly #plain = newSlots(1 << (2 * symbolBits));
  readonly learned: readonly Learned[] = [this.#long, this.#short, this.#longHits, this.#shortHits, this.#plain];

  /** @param past  a hash (12 bits) of many symbols before @param recent  one (10 bits) of few @param last  the last one */
  code(coder: BitCoder, past: number, recent: number, last: number, symbol: number): number {
    const first = this.#long[past]!;
    const second = this.#short[recent]!;
    let found = first & symbolMask;
    if (coder.bit(this.#longHits, first, symbol === found ? 1 : 0) === 0) {
      const other = second & symbolMask;
      if (other !== found && coder.bit(this.#shortHits, second, symbol === other ? 1 : 0) === 1) found = other;
      else found = codeTree(coder, this.#plain, last << symbolBits, symbolBits, symbol);
    }
    this.#long[past] = afterwards(first, found);
    this.#short[recent] = afterwards(second, found);
    return found;
  }
}

function afterwards(guess: number, found: number): number {
  const sure = guess >> symbolBits;
  if ((guess & symbolMask) === found) return sure < surenessMax ? guess + (1 << symbolBits) : guess;
  return sure < 2 ? found : ((sure >> 1) << symbolBits) | (guess & symbolMask);
}

/** Bytes of which little is known beside their kind. */
export class ByteModel {
  readonly #slots: Slots;
  readonly learned: readonly Learned[];

  constructor(contexts: number) {
    this.#slots = newSlots(contexts << 8);
    this.learned = [this.#slots];
  }

  code(coder: BitCoder, context: number, value: number): number {
    return codeTree(coder, this.#slots, context << 8, 8, value);
  }
}
