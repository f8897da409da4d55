// What is usual in a log: which event follows which, how many instructions run, how far the clocks move in between. An event
// that was expected costs a fraction of a bit; any other valid event can be said too.
//
// One walk serves both directions. Writing, the bytes hold the event and the coder is told each decision; reading, the coder
// tells it and the bytes are filled in.
//
// Invariants:
// - Both directions make the same calls in the same order, and all that decides them is in `learned`.
// - What this file and those that it imports compute is the format. Another context, another constant is another encoding,
//   with a number of its own: test/log/columnar.test.ts holds this one to what it wrote once.
// - Reading writes nothing outside `bytes`. What it writes is not yet known to be a valid event: checkSegment says that.
import { ByteModel, NumberModel, SymbolModel, numberMax, type Learned } from './adaptive.js';
import { ClockLine } from './clock-line.js';
import { CountModel } from './count-model.js';
import { EventCode, eventCodeCount } from './event-codes.js';
import { codeQuad, putQuad, putUs, quadAt, usAt } from './event-fields.js';
import { History } from './history.js';
import { newSlots, type BitCoder } from './range-coder.js';
import { isBareCode, measureEvent, u32At } from './scan.js';

/** Of an event without fields of its own here so many bytes are coded; those behind them are left out. */
const headBytesMax = 24;
const timeContexts = 64;
const bottomHalves = 0;
const blocks = 1;

/** A range of the payload. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
}

export class EventModel {
  readonly #history = new History();
  readonly #clock = new ClockLine();
  readonly #codes = new SymbolModel();
  readonly #counts = new CountModel();
  readonly #hosts = new NumberModel(timeContexts);
  readonly #virtuals = new NumberModel(timeContexts);
  readonly #ids = new NumberModel(2);
  readonly #lengths = new NumberModel(eventCodeCount);
  readonly #bytes = new ByteModel(eventCodeCount);
  /** By code: whether a number is out of the ordinary. */
  readonly #odd = newSlots(eventCodeCount);
  /** By code and place: whether a byte is what it was in the last event of this code, and what that was. */
  readonly #sameBytes = newSlots(eventCodeCount * headBytesMax);
  readonly #lastBytes = new Uint16Array(eventCodeCount * headBytesMax);
  /** The instruction of the last clock reading; the last block request. */
  readonly #readAt = new Float64Array(1);
  readonly #blockId = new Float64Array(1);

  readonly learned: readonly Learned[] = [
    ...[this.#history, this.#clock, this.#codes, this.#counts, this.#hosts].flatMap((part) => part.learned),
    ...[this.#virtuals, this.#ids, this.#lengths, this.#bytes].flatMap((part) => part.learned),
    ...[this.#odd, this.#sameBytes, this.#lastBytes, this.#readAt, this.#blockId],
  ];

  /** Knows from here on what `other` knows. */
  assign(other: EventModel): void {
    this.learned.forEach((array, index) => array.set(other.learned[index]!));
  }

  /** Forgets where the log stands, and keeps what is usual in it: another one may follow. */
  forgetPlace(): void {
    this.#history.forget();
    this.#clock.forget();
    this.#counts.forgetPlace();
    this.#readAt.fill(0);
    this.#blockId.fill(0);
  }

  /** The least that CLOCK_VIRTUAL_RT can show after what was coded, in ns. */
  get clockNs(): number {
    return this.#clock.virtualFrom;
  }

  /**
   * Codes the events of a payload that begins at instruction `from`. Returns how many instructions they hold, and the
   * stretches of the payload that were left out.
   * @param codedMax  more bytes are not coded, those that are left out aside
   * @throws RangeError when what is read does not fit `bytes`, or is none of the numbers it should be, or too many
   */
  code(
    coder: BitCoder,
    bytes: Buffer,
    from: number,
    codedMax = bytes.length,
  ): { readonly left: Stretch[]; readonly instructions: number } {
    const left: Stretch[] = [];
    let leftBytes = 0;
    let position = from;
    for (let at = 0; at < bytes.length;) {
      const code = this.#code(coder, bytes, at);
      let length = 1;
      if (code === EventCode.instruction) {
        length = room(bytes, at, 5);
        position += this.#count(coder, bytes, at + 1, position);
      } else if (isQuad(code)) {
        length = room(bytes, at, 9);
        this.#quad(coder, bytes, at + 1, code, position);
      } else if (!isBareCode(code)) {
        length = this.#other(coder, bytes, at, code);
        if (length > headBytesMax) {
          left.push({ from: at + headBytesMax, to: at + length });
          leftBytes += length - headBytesMax;
        }
      }
      this.#history.took(code);
      at += length;
      if (at - leftBytes > codedMax) throw new RangeError(`they are too few for ${at - leftBytes} bytes of events`);
    }
    return { left, instructions: position - from };
  }

  #code(coder: BitCoder, bytes: Buffer, at: number): number {
    const { exact, kinds, last } = this.#history;
    const code = this.#codes.code(coder, exact, kinds, last, coder.reading ? 0 : bytes[at]!);
    if (code >= eventCodeCount) throw new RangeError(`an event of code ${code}`);
    if (coder.reading) bytes[at] = code;
    return code;
  }

  #count(coder: BitCoder, bytes: Buffer, at: number, position: number): number {
    const count = this.#counts.code(coder, this.#history, position, coder.reading ? 0 : u32At(bytes, at));
    if (coder.reading) bytes.writeUInt32BE(count, at);
    this.#history.tookInstructions(count);
    return count;
  }

  #quad(coder: BitCoder, bytes: Buffer, at: number, code: number, position: number): void {
    if (code === EventCode.clockHost) this.#clockHost(coder, bytes, at, this.#timeContext(position));
    else if (code === EventCode.clockVirtualRt) this.#clockVirtual(coder, bytes, at, this.#timeContext(position));
    else if (code === EventCode.block) this.#block(coder, bytes, at);
    else this.#bottomHalf(coder, bytes, at, code, position);
  }

  #timeContext(position: number): number {
    const context = this.#history.timeContext(position - this.#readAt[0]!);
    this.#readAt[0] = position;
    return context;
  }

  #clockHost(coder: BitCoder, bytes: Buffer, at: number, context: number): void {
    const from = this.#clock.hostFrom;
    const since = coder.reading ? 0 : usAt(bytes, at) - from;
    if (this.#isOdd(coder, EventCode.clockHost, since)) codeQuad(coder, bytes, at);
    else {
      const us = from + this.#hosts.code(coder, context, since);
      if (coder.reading) putUs(bytes, at, us);
    }
    this.#clock.tookHost(usAt(bytes, at));
  }

  #clockVirtual(coder: BitCoder, bytes: Buffer, at: number, context: number): void {
    const from = this.#clock.virtualFrom;
    const since = coder.reading ? 0 : quadAt(bytes, at) - from;
    if (this.#isOdd(coder, EventCode.clockVirtualRt, since)) codeQuad(coder, bytes, at);
    else {
      const ns = from + this.#virtuals.code(coder, context, since);
      if (coder.reading) putQuad(bytes, at, ns);
    }
    this.#clock.tookVirtual(quadAt(bytes, at));
  }

  /** A bottom half's id is the instruction at which it was scheduled. */
  #bottomHalf(coder: BitCoder, bytes: Buffer, at: number, code: number, position: number): void {
    const ago = coder.reading ? 0 : position - quadAt(bytes, at);
    if (this.#isOdd(coder, code, ago)) return codeQuad(coder, bytes, at);
    const coded = this.#ids.code(coder, bottomHalves, ago);
    if (coder.reading) putQuad(bytes, at, position - coded);
  }

  /** Block requests are numbered as they begin, and end in about that order. */
  #block(coder: BitCoder, bytes: Buffer, at: number): void {
    const next = this.#blockId[0]! + 1;
    const ahead = coder.reading ? 0 : quadAt(bytes, at) - next;
    const folded = ahead >= 0 ? 2 * ahead : -2 * ahead - 1;
    if (this.#isOdd(coder, EventCode.block, folded)) codeQuad(coder, bytes, at);
    else {
      const coded = this.#ids.code(coder, blocks, folded);
      if (coder.reading) putQuad(bytes, at, next + (coded % 2 === 0 ? coded / 2 : -(coded + 1) / 2));
    }
    const id = quadAt(bytes, at);
    if (!Number.isNaN(id)) this.#blockId[0] = id;
  }

  /** Any other event: its length, then its bytes, each of which is probably what it was in the last such event. */
  #other(coder: BitCoder, bytes: Buffer, at: number, code: number): number {
    const length = this.#lengths.code(coder, code, coder.reading ? 0 : measureEvent(bytes, at));
    room(bytes, at, Math.max(1, length));
    for (let index = 1; index < Math.min(length, headBytesMax); index++) {
      const cell = code * headBytesMax + index;
      const last = this.#lastBytes[cell]!;
      const told = bytes[at + index]!;
      const same = coder.bit(this.#sameBytes, cell, told === last ? 1 : 0) === 1;
      const byte = same ? last : this.#bytes.code(coder, code, told);
      if (coder.reading) bytes[at + index] = byte;
      this.#lastBytes[cell] = byte;
    }
    return Math.max(1, length);
  }

  /** Says whether a number cannot be coded as such: it is below what was taken for the least, too large, or none. */
  #isOdd(coder: BitCoder, code: number, value: number): boolean {
    return coder.bit(this.#odd, code, value >= 0 && value <= numberMax ? 0 : 1) === 1;
  }
}

/** Whether an event is its code and eight bytes that have a meaning here. */
function isQuad(code: number): boolean {
  return (
    code === EventCode.clockHost ||
    code === EventCode.clockVirtualRt ||
    code === EventCode.bh ||
    code === EventCode.bhOneshot ||
    code === EventCode.block
  );
}

/** Checks that `length` bytes from `at` on are within the payload; returns the length. */
function room(bytes: Buffer, at: number, length: number): number {
  if (at + length > bytes.length) throw new RangeError('an event reaches beyond the payload');
  return length;
}
