// The first difference of two logs: two recordings of what should be one run, or a log and what a replay did. Where segments
// begin and end is no difference, nor is an INSTRUCTION event that was cut in two: what counts is which events happened,
// with which bytes, at which instruction.
import { icount, type Icount } from '../units.js';
import { TrmigError } from '../errors.js';
import { decodeEvent } from './decoder.js';
import type { LogEvent } from './event.js';
import { EventCode } from './event-codes.js';
import { measureEvent, u32At } from './scan.js';
import { discontinuity, type Segment } from './segment.js';

/** Events shown before the difference. */
const contextEvents = 5;

export interface LogDifference {
  /** Events, INSTRUCTION events not counted, that the two logs have in common before they part. */
  readonly index: number;
  /** Where they part: the earlier of the two positions. */
  readonly icount: Icount;
  /**
   * The event that each log has there. null: that log has ended. When both are null the logs hold the same events, but
   * one goes on for more instructions than the other.
   */
  readonly a: LogEvent | null;
  readonly b: LogEvent | null;
  /** The last events in common, in order. */
  readonly context: readonly LogEvent[];
}

/**
 * Compares two logs event by event, holding one segment of each.
 * @returns null when they are the same.
 * @throws TrmigError E_LOG_EVENT, E_LOG_SEGMENT when a log itself is not well formed.
 */
export async function diffLogs(a: AsyncIterable<Segment>, b: AsyncIterable<Segment>): Promise<LogDifference | null> {
  const left = new EventCursor(a);
  const right = new EventCursor(b);
  const context: EventSpot[] = [];
  try {
    for (let index = 0; ; index++) {
      const spotA = await left.next();
      const spotB = await right.next();
      if (spotA === null && spotB === null && left.position === right.position) return null;
      if (spotA === null || spotB === null || !same(spotA, spotB)) {
        const earlier = Math.min(spotA?.icount ?? left.position, spotB?.icount ?? right.position);
        return {
          index,
          icount: icount(earlier),
          a: decode(spotA),
          b: decode(spotB),
          context: context.map((spot) => decode(spot)!),
        };
      }
      context.push(spotA);
      if (context.length > contextEvents) context.shift();
    }
  } finally {
    await left.close();
    await right.close();
  }
}

/** An event where it lies; decoded only when it is to be shown. */
interface EventSpot {
  readonly payload: Buffer;
  readonly offset: number;
  readonly bytes: number;
  readonly icount: Icount;
}

function same(a: EventSpot, b: EventSpot): boolean {
  return (
    a.icount === b.icount &&
    a.bytes === b.bytes &&
    a.payload.compare(b.payload, b.offset, b.offset + b.bytes, a.offset, a.offset + a.bytes) === 0
  );
}

function decode(spot: EventSpot | null): LogEvent | null {
  return spot === null ? null : decodeEvent(spot.payload, spot.offset, spot.icount);
}

/** Steps through a log's events other than INSTRUCTION. */
class EventCursor {
  /** Instruction count reached; at the end of the log, its end. */
  position: Icount = icount(0);
  readonly #segments: AsyncIterator<Segment>;
  #segment: Segment | null = null;
  #offset = 0;

  constructor(segments: AsyncIterable<Segment>) {
    this.#segments = segments[Symbol.asyncIterator]();
  }

  async next(): Promise<EventSpot | null> {
    for (;;) {
      while (this.#segment !== null && this.#offset < this.#segment.payload.length) {
        const spot = this.#take(this.#segment.payload);
        if (spot !== null) return spot;
      }
      if (!(await this.#advance())) return null;
    }
  }

  async close(): Promise<void> {
    await this.#segments.return?.();
  }

  #take(payload: Buffer): EventSpot | null {
    const offset = this.#offset;
    const bytes = measureEvent(payload, offset);
    this.#offset += bytes;
    if (payload[offset] !== EventCode.instruction) return { payload, offset, bytes, icount: this.position };
    this.position = icount(this.position + u32At(payload, offset + 1));
    return null;
  }

  async #advance(): Promise<boolean> {
    const step = await this.#segments.next();
    if (step.done === true) return false;
    const wrong = this.#segment === null ? null : discontinuity(this.#segment, step.value);
    if (wrong !== null) throw new TrmigError('E_LOG_SEGMENT', wrong, { facts: { seq: step.value.seq } });
    this.position = step.value.from;
    this.#segment = step.value;
    this.#offset = 0;
    return true;
  }
}
