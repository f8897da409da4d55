// The frames in which segments cross the tracer's stream, both ways: a 72-byte little-endian header, then the payload.
// The layout is the table in docs/tracer-protocol.md.
//
// Invariants: a segment comes out only when its whole frame has come in, its checksum matches and its events were counted;
// segments come out in order and without gaps. The first fault is final: the stream has no place to start again from.
import { TrmigError } from '../errors.js';
import { segmentPayloadBytesMax } from '../limits.js';
import { icount } from '../units.js';
import { checkSegment, discontinuity, type Segment, type SegmentHeader } from './segment.js';

export const tracerHeaderBytes = 72;
const magic = 0x314c5254; // "TRL1"
const kindSegment = 1;
const flagCanary = 1;
const flagFinal = 2;

/** A whole frame, header and payload. */
export function encodeTracerFrame(segment: Segment): Buffer {
  const frame = Buffer.allocUnsafe(tracerHeaderBytes + segment.payload.length);
  frame.writeUInt32LE(magic, 0);
  frame.writeUInt16LE(kindSegment, 4);
  frame.writeUInt16LE((segment.canary === null ? 0 : flagCanary) | (segment.final ? flagFinal : 0), 6);
  frame.writeUInt32LE(segment.payload.length, 8);
  frame.writeUInt32LE(segment.events, 12);
  frame.writeBigUInt64LE(BigInt(segment.seq), 16);
  frame.writeBigUInt64LE(BigInt(segment.from), 24);
  frame.writeBigUInt64LE(BigInt(segment.to), 32);
  frame.writeBigUInt64LE(segment.canary ?? 0n, 40);
  frame.writeBigUInt64LE(BigInt(segment.virtualNs), 48);
  frame.writeBigUInt64LE(BigInt(segment.hostNs), 56);
  frame.writeBigUInt64LE(segment.checksum, 64);
  segment.payload.copy(frame, tracerHeaderBytes);
  return frame;
}

/** Turns the stream's chunks, cut anywhere, into segments. */
export class TracerFrameDecoder {
  readonly #header = Buffer.alloc(tracerHeaderBytes);
  #headerFilled = 0;
  /** The header of the frame whose payload is coming in. */
  #current: SegmentHeader | null = null;
  #payload: Buffer = Buffer.alloc(0);
  #payloadFilled = 0;
  /** Stream offset of the frame that is coming in. */
  #frameAt = 0;
  #previous: SegmentHeader | null = null;
  #fault: TrmigError | null = null;

  /**
   * Takes the next bytes and returns the segments that are now whole. Nothing keeps `chunk`.
   * @throws TrmigError E_TRACER_FRAME (facts: offset in the stream); from then on each call throws the same.
   */
  push(chunk: Uint8Array): Segment[] {
    if (this.#fault !== null) throw this.#fault;
    const segments: Segment[] = [];
    for (let at = 0; at < chunk.length;) {
      at += this.#current === null ? this.#takeHeader(chunk, at) : this.#takePayload(chunk, at);
      if (this.#current !== null && this.#payloadFilled === this.#payload.length) segments.push(this.#finish());
    }
    return segments;
  }

  /**
   * Says that the stream is over.
   * @throws TrmigError E_TRACER_FRAME when it ended inside a frame.
   */
  end(): void {
    if (this.#fault !== null) throw this.#fault;
    if (this.#headerFilled > 0) throw this.#fail('the stream ended inside a frame');
  }

  #takeHeader(chunk: Uint8Array, at: number): number {
    const taken = Math.min(tracerHeaderBytes - this.#headerFilled, chunk.length - at);
    this.#header.set(chunk.subarray(at, at + taken), this.#headerFilled);
    this.#headerFilled += taken;
    if (this.#headerFilled === tracerHeaderBytes) {
      this.#current = this.#parseHeader();
      this.#payload = Buffer.allocUnsafeSlow(this.#header.readUInt32LE(8));
      this.#payloadFilled = 0;
    }
    return taken;
  }

  #takePayload(chunk: Uint8Array, at: number): number {
    const taken = Math.min(this.#payload.length - this.#payloadFilled, chunk.length - at);
    this.#payload.set(chunk.subarray(at, at + taken), this.#payloadFilled);
    this.#payloadFilled += taken;
    return taken;
  }

  #parseHeader(): SegmentHeader {
    const header = this.#header;
    if (header.readUInt32LE(0) !== magic)
      throw this.#fail('this is no frame of the tracer: its magic number is missing');
    const kind = header.readUInt16LE(4);
    if (kind !== kindSegment) throw this.#fail(`a frame of the unknown kind ${kind}`);
    const flags = header.readUInt16LE(6);
    if ((flags & ~(flagCanary | flagFinal)) !== 0) throw this.#fail(`a frame with unknown flags (${flags})`);
    const payloadBytes = header.readUInt32LE(8);
    if (payloadBytes > segmentPayloadBytesMax) throw this.#fail(`a payload of ${payloadBytes} bytes is too large`);
    const next: SegmentHeader = {
      seq: this.#number(16, 'seq'),
      from: icount(this.#number(24, 'from')),
      to: icount(this.#number(32, 'to')),
      events: header.readUInt32LE(12),
      canary: (flags & flagCanary) === 0 ? null : header.readBigUInt64LE(40),
      final: (flags & flagFinal) !== 0,
      virtualNs: this.#number(48, 'virtualNs'),
      hostNs: this.#number(56, 'hostNs'),
      checksum: header.readBigUInt64LE(64),
    };
    const wrong = this.#previous === null ? null : discontinuity(this.#previous, next);
    if (wrong !== null) throw this.#fail(wrong);
    if (this.#previous?.final === true) throw this.#fail(`segment ${next.seq} follows the final segment`);
    return next;
  }

  #number(at: number, name: string): number {
    const value = this.#header.readBigUInt64LE(at);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw this.#fail(`${name} is out of bounds: ${value}`);
    return Number(value);
  }

  #finish(): Segment {
    const segment: Segment = { ...this.#current!, payload: this.#payload };
    try {
      checkSegment(segment);
    } catch (error) {
      throw this.#fail(error instanceof Error ? error.message : String(error), error);
    }
    this.#frameAt += tracerHeaderBytes + segment.payload.length;
    this.#previous = this.#current;
    this.#current = null;
    this.#headerFilled = 0;
    return segment;
  }

  #fail(why: string, cause?: unknown): TrmigError {
    const facts = { offset: this.#frameAt };
    this.#fault = new TrmigError('E_TRACER_FRAME', `the frame at byte ${this.#frameAt} of the log stream: ${why}`, {
      facts,
      cause,
    });
    return this.#fault;
  }
}
