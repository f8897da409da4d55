// A segment's header beside its neighbour's. On a link most of it follows from the segment before and from the payload, so
// that only what nobody could know is said. A header that says more (the first of a link, one behind a gap, the final one)
// does not fit here and crosses in a frame that spells it out.
//
// Invariant: both ends see every segment, whichever way its header crossed, and so keep the same line.
import { TrmigError } from '../errors.js';
import { icountShiftMax, segmentPayloadBytesMax } from '../limits.js';
import { NumberModel, numberMax } from './adaptive.js';
import type { Around, PayloadPlace } from './columnar.js';
import type { EventModel } from './event-model.js';
import { newSlots, type BitCoder } from './range-coder.js';
import { sealSegment, type Segment, type SegmentHeader } from './segment.js';

/** What must be said before the payload. */
export interface LeanHead {
  readonly payloadBytes: number;
  readonly canary: bigint | null;
  /** The lower half of the payload's checksum: whether both ends still know the same, accident or not. */
  readonly check: number;
}

/** What is said after it, for it explains most of this. */
export type LeanTimes = Pick<SegmentHeader, 'virtualNs' | 'hostNs'>;

/** The recording host was up for 13 days: later headers are spelled out. */
const hostNsMax = numberMax / 4;

const sizes = 0;
const warps = 1;
const delays = 2;
/** The host's clock stood still for the guest (a stop), or was taken from another origin: begin anew. */
const astrayNs = 100_000_000;

export class SegmentLine {
  readonly #numbers = new NumberModel(3);
  readonly #flags = newSlots(4);
  #last: SegmentHeader | null = null;
  /** Virtual ns of an instruction, as a power of two. */
  #shift = 0;
  /** What the recording host's clock is at least ahead of CLOCK_VIRTUAL_RT. */
  #aheadNs = 0;

  /** The header that a next segment continues; null before the first. */
  get last(): SegmentHeader | null {
    return this.#last;
  }

  /** Whether `header`, of a payload that is not empty, can be told from its neighbour's. */
  fits(header: SegmentHeader): boolean {
    const last = this.#last;
    if (last === null || last.final || header.final) return false;
    if (header.seq !== last.seq + 1 || header.from !== last.to) return false;
    const [virtualNs, hostNs] = [header.virtualNs - last.virtualNs, header.hostNs];
    return virtualNs >= 0 && header.virtualNs <= numberMax && hostNs >= 0 && hostNs <= hostNsMax;
  }

  /** @throws RangeError when what is read is no head */
  head(coder: BitCoder, head: LeanHead): LeanHead {
    const payloadBytes = this.#numbers.code(coder, sizes, head.payloadBytes);
    const canary = coder.bit(this.#flags, 0, head.canary === null ? 0 : 1) === 1;
    const check = coder.raw(head.check, 32);
    if (!canary) return { payloadBytes, canary: null, check };
    const high = coder.raw(Number((head.canary ?? 0n) >> 32n), 32);
    const low = coder.raw(Number((head.canary ?? 0n) & 0xffff_ffffn), 32);
    return { payloadBytes, canary: (BigInt(high) << 32n) | BigInt(low), check };
  }

  /** @param instructions  of the payload @param clockNs  the last CLOCK_VIRTUAL_RT in it or before */
  times(coder: BitCoder, times: LeanTimes, instructions: number, clockNs: number): LeanTimes {
    const last = this.#last?.virtualNs ?? 0;
    const worked = last + instructions * 2 ** this.#shift;
    let virtualNs = times.virtualNs;
    if (coder.bit(this.#flags, 1, virtualNs === worked ? 1 : 0) === 1) virtualNs = worked;
    else virtualNs = last + this.#numbers.code(coder, warps, virtualNs - last);
    const guessed = clockNs + this.#aheadNs;
    const from = guessed >= 0 && guessed <= hostNsMax ? guessed : (this.#last?.hostNs ?? 0);
    const delay = times.hostNs - from;
    const back = coder.bit(this.#flags, 2, delay < 0 ? 1 : 0) === 1;
    const coded = this.#numbers.code(coder, delays, Math.abs(delay));
    return { virtualNs, hostNs: from + (back ? -coded : coded) };
  }

  /** The segment has crossed, one way or the other. */
  took(header: SegmentHeader, clockNs: number): void {
    const [virtualNs, instructions] = [header.virtualNs - (this.#last?.virtualNs ?? 0), header.to - header.from];
    for (let shift = 0; shift <= icountShiftMax; shift++) {
      if (instructions > 0 && virtualNs === instructions * 2 ** shift) this.#shift = shift;
    }
    const aheadNs = header.hostNs - clockNs;
    if (aheadNs < this.#aheadNs || aheadNs > this.#aheadNs + astrayNs) this.#aheadNs = aheadNs;
    this.#last = header;
  }
}

const checkOf = (checksum: bigint): number => Number(checksum & 0xffff_ffffn);

/** Tells a header around its payload. The line must `fit` it. */
export class LeanWriter implements Around {
  constructor(
    readonly line: SegmentLine,
    readonly segment: Segment,
    readonly model: EventModel,
  ) {}

  before(coder: BitCoder): PayloadPlace {
    const { payload, canary, checksum, from } = this.segment;
    this.line.head(coder, { payloadBytes: payload.length, canary, check: checkOf(checksum) });
    return { payloadBytes: payload.length, from };
  }

  after(coder: BitCoder, instructions: number): void {
    this.line.times(coder, this.segment, instructions, this.model.clockNs);
  }
}

/** Reads what LeanWriter told. */
export class LeanReader implements Around {
  #head: LeanHead | null = null;
  #times: LeanTimes | null = null;

  constructor(
    readonly line: SegmentLine,
    readonly model: EventModel,
  ) {}

  before(coder: BitCoder): PayloadPlace {
    if (this.line.last === null) throw new RangeError('no segment came before it');
    if (this.line.last.final) throw new RangeError('it follows the final segment');
    this.#head = this.line.head(coder, { payloadBytes: 0, canary: null, check: 0 });
    const { payloadBytes } = this.#head;
    if (payloadBytes > segmentPayloadBytesMax) {
      throw new RangeError(`a payload of ${payloadBytes} bytes is larger than ${segmentPayloadBytesMax}`);
    }
    return { payloadBytes, from: this.line.last.to };
  }

  after(coder: BitCoder, instructions: number): void {
    this.#times = this.line.times(coder, { virtualNs: 0, hostNs: 0 }, instructions, this.model.clockNs);
  }

  /**
   * The whole segment.
   * @throws TrmigError E_LOG_EVENT, E_LOG_SEGMENT when the payload is not the one that was told
   */
  segment(payload: Buffer): Segment {
    const [last, { canary, check }, { virtualNs, hostNs }] = [this.line.last!, this.#head!, this.#times!];
    if (!Number.isSafeInteger(virtualNs) || !Number.isSafeInteger(hostNs) || hostNs < 0) {
      throw new RangeError('its clocks are out of bounds');
    }
    const segment = sealSegment({ seq: last.seq + 1, from: last.to, payload, canary, virtualNs, hostNs });
    if (checkOf(segment.checksum) === check) return segment;
    const { seq } = segment;
    throw new TrmigError('E_LOG_SEGMENT', `segment ${seq}: its checksum does not match its bytes`, { facts: { seq } });
  }
}
