// A segment is a run of whole events with the instruction range it covers; the unit that is checked, shipped, stored and
// replayed. Segments seal before they ship: a destination must never replay bytes that the source could still retract.
//
// Invariants of a sealed segment:
// - `payload` holds whole events only, `events` of them, none of them END;
// - its INSTRUCTION events add up to `to - from`;
// - `checksum` is XXH3-64 of the payload.
// Between neighbours: seq grows by one, and `to` is the next one's `from`. A final segment ends what one host recorded; when
// another host has taken the machine over and records on, its segments follow.
import { TrmigError } from '../errors.js';
import { segmentPayloadBytesMax } from '../limits.js';
import { xxh3 } from '../native/index.js';
import { icount, type Icount } from '../units.js';
import { scanPayload } from './scan.js';

/** How the payload is held where it is stored or sent. The numbers are in schema/; here are the names. */
export type SegmentEncoding = 'raw' | 'zstd' | 'columnar';

export interface SegmentHeader {
  readonly seq: number;
  readonly from: Icount;
  readonly to: Icount;
  readonly events: number;
  /** XXH3-64 of the CPU's registers at `to`; null when the tracer took none. */
  readonly canary: bigint | null;
  /** What one host recorded ends with this segment: the log, unless another host has gone on from there. */
  readonly final: boolean;
  /** Guest virtual clock at `to`. */
  readonly virtualNs: number;
  /** The recording host's CLOCK_MONOTONIC when the segment was cut. */
  readonly hostNs: number;
  readonly checksum: bigint;
}

export interface Segment extends SegmentHeader {
  /** QEMU's own bytes, without file header and END. */
  readonly payload: Buffer;
}

/** What `sealSegment` cannot compute by itself. */
export type SegmentSource = Pick<Segment, 'seq' | 'from' | 'payload'> &
  Partial<Pick<Segment, 'canary' | 'final' | 'virtualNs' | 'hostNs'>>;

/**
 * Makes a segment of a payload: counts its events and instructions, and takes its checksum.
 * @throws TrmigError E_LOG_EVENT when the payload is not a run of whole events.
 */
export function sealSegment(source: SegmentSource): Segment {
  const scan = scanPayload(source.payload);
  return {
    seq: source.seq,
    from: source.from,
    to: icount(source.from + scan.instructions),
    events: scan.events,
    canary: source.canary ?? null,
    final: source.final ?? false,
    virtualNs: source.virtualNs ?? 0,
    hostNs: source.hostNs ?? 0,
    checksum: xxh3(source.payload),
    payload: source.payload,
  };
}

/**
 * Checks that a payload is what its header says.
 * @throws TrmigError E_LOG_SEGMENT (facts: seq), or E_LOG_EVENT when the bytes are not events.
 */
export function checkSegment(segment: Segment): void {
  if (segment.payload.length > segmentPayloadBytesMax) {
    throw mismatch(segment, `its payload of ${segment.payload.length} bytes is larger than ${segmentPayloadBytesMax}`);
  }
  if (xxh3(segment.payload) !== segment.checksum) throw mismatch(segment, 'its checksum does not match its bytes');
  const scan = scanPayload(segment.payload);
  if (scan.events !== segment.events) {
    throw mismatch(segment, `it holds ${scan.events} events, its header says ${segment.events}`);
  }
  if (segment.from + scan.instructions !== segment.to) {
    throw mismatch(segment, `it holds ${scan.instructions} instructions, its header says ${segment.to - segment.from}`);
  }
}

/** What is wrong with `next` as the successor of `previous`, or null. */
export function discontinuity(previous: SegmentHeader, next: SegmentHeader): string | null {
  if (next.seq !== previous.seq + 1) return `segment ${next.seq} follows segment ${previous.seq}`;
  if (next.from !== previous.to) {
    return `segment ${next.seq} begins at instruction ${next.from}, the one before ends at ${previous.to}`;
  }
  return null;
}

function mismatch(segment: SegmentHeader, why: string): TrmigError {
  return new TrmigError('E_LOG_SEGMENT', `segment ${segment.seq}: ${why}`, { facts: { seq: segment.seq } });
}
