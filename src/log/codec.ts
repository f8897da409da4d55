// A segment's payload where it is stored or sent. On the wire what the coder has learned lives as long as the link, so that
// tiny segments profit from their past; whoever reconnects begins with a new pair of codecs. On disk each segment stands by
// itself, so that reading may start anywhere.
//
// Payloads are columnar (columnar.ts). Plain zstd is for peers that do not read that, and in recordings older than it.
//
// Invariants:
// - A decoder never produces, or reserves, more than the payload bytes that a header promised and `limits` allow.
// - A segment comes out only after its checksum, its events and its instructions were compared with its header.
// - A wire decoder that has failed stays failed: what it knows is not what the sender knows any more.
import { TrmigError } from '../errors.js';
import { segmentPayloadBytesMax } from '../limits.js';
import { alone, decodeColumnar, encodeColumnar } from './columnar.js';
import { EventModel } from './event-model.js';
import { prime } from './primer.js';
import { LeanReader, LeanWriter, SegmentLine } from './segment-line.js';
import { checkSegment, type Segment, type SegmentEncoding, type SegmentHeader } from './segment.js';
import { StreamSqueezer, StreamUnsqueezer, frames, type Unsqueezer } from './zstd.js';

/** What a receiver needs to know beside the encoded bytes. */
export interface EncodedHeader extends SegmentHeader {
  readonly encoding: SegmentEncoding;
  readonly payloadBytes: number;
}

/** A segment as it crosses or lies. */
export interface EncodedSegment<Header = EncodedHeader> {
  readonly header: Header;
  readonly bytes: Buffer;
}

function encoded(segment: Segment, encoding: SegmentEncoding, bytes: Buffer): EncodedSegment {
  const { payload, ...header } = segment;
  return { header: { ...header, encoding, payloadBytes: payload.length }, bytes };
}

const empty = (segment: Segment): EncodedSegment => encoded(segment, 'raw', Buffer.alloc(0));

/** The sending half of a link's log. */
export class WireEncoder {
  readonly #zstd = new StreamSqueezer();
  readonly #model = prime(new EventModel());
  readonly #line = new SegmentLine();
  #columnar: boolean;

  /** @param options  `columnar`: whether the peer reads more than plain zstd */
  constructor(options: { readonly columnar: boolean }) {
    this.#columnar = options.columnar;
  }

  /**
   * A segment for the wire, to be sent in the order of the calls. The header is null when it is told by the bytes: that is
   * so only if the peer reads columnar ones, and never of the final segment.
   */
  encode(segment: Segment): EncodedSegment<EncodedHeader | null> {
    const { payload } = segment;
    const lean = this.#columnar && payload.length > 0 && this.#line.fits(segment);
    const bytes = this.#columnar && payload.length > 0 ? this.#encodeColumnar(segment, lean) : null;
    this.#line.took(segment, this.#model.clockNs);
    if (bytes !== null) return lean ? { header: null, bytes } : encoded(segment, 'columnar', bytes);
    return payload.length === 0 ? empty(segment) : encoded(segment, 'zstd', this.#zstd.squeeze(payload));
  }

  #encodeColumnar(segment: Segment, lean: boolean): Buffer | null {
    const around = lean ? new LeanWriter(this.#line, segment, this.#model) : alone(placeOf(segment));
    try {
      return encodeColumnar(this.#model, this.#zstd, segment.payload, around);
    } catch {
      // No valid events, which nobody should have sealed, or so few bytes that the peer would not believe them. The model has gone
      // astray over them, and the peer's has not.
      this.#columnar = false;
      return null;
    }
  }
}

/** The receiving half. */
export class WireDecoder {
  readonly #zstd = new StreamUnsqueezer();
  readonly #model = prime(new EventModel());
  readonly #line = new SegmentLine();
  #fault: TrmigError | null = null;

  /**
   * @param header  null when the bytes hold it
   * @throws TrmigError E_LOG_SEGMENT or E_LOG_EVENT; from then on each call throws the same.
   */
  decode(header: EncodedHeader | null, bytes: Uint8Array): Segment {
    if (this.#fault !== null) throw this.#fault;
    try {
      const segment = header === null ? this.#lean(bytes) : decodePayload(header, bytes, this.#model, this.#zstd);
      this.#line.took(segment, this.#model.clockNs);
      return segment;
    } catch (error) {
      const seq = header?.seq ?? (this.#line.last?.seq ?? -1) + 1;
      this.#fault = error instanceof TrmigError ? error : undecodable(seq, error);
      throw this.#fault;
    }
  }

  #lean(bytes: Uint8Array): Segment {
    const around = new LeanReader(this.#line, this.#model);
    return around.segment(decodeColumnar(this.#model, this.#zstd, bytes, around));
  }
}

let scratch: EventModel | null = null;

/** The model with which each segment on disk begins. */
function modelForDisk(): EventModel {
  scratch ??= new EventModel();
  return prime(scratch);
}

/** A segment as it lies in a recording. */
export function encodeForDisk(segment: Segment): EncodedSegment {
  if (segment.payload.length === 0) return empty(segment);
  try {
    const bytes = encodeColumnar(modelForDisk(), frames, segment.payload, alone(placeOf(segment)));
    return encoded(segment, 'columnar', bytes);
  } catch {
    // No valid events, which nobody should have sealed, or so few bytes that a reader would not believe them.
    return encoded(segment, 'zstd', frames.squeeze(segment.payload));
  }
}

/**
 * Undoes `encodeForDisk`.
 * @throws TrmigError E_LOG_SEGMENT or E_LOG_EVENT.
 */
export function decodeFromDisk(header: EncodedHeader, bytes: Uint8Array): Segment {
  try {
    return decodePayload(header, bytes, modelForDisk(), frames);
  } catch (error) {
    throw error instanceof TrmigError ? error : undecodable(header.seq, error);
  }
}

const placeOf = (segment: Segment): { payloadBytes: number; from: number } => ({
  payloadBytes: segment.payload.length,
  from: segment.from,
});

function decodePayload(header: EncodedHeader, bytes: Uint8Array, model: EventModel, zstd: Unsqueezer): Segment {
  const { encoding, payloadBytes, ...rest } = header;
  if (payloadBytes > segmentPayloadBytesMax) {
    throw fault(header.seq, `a payload of ${payloadBytes} bytes is larger than ${segmentPayloadBytesMax}`);
  }
  const payload = payloadOf();
  if (payload.length !== payloadBytes) {
    throw fault(header.seq, `its bytes are not the ${payloadBytes} bytes of payload that its header promises`);
  }
  const segment = { ...rest, payload: Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength) };
  checkSegment(segment);
  return segment;

  function payloadOf(): Uint8Array {
    if (encoding === 'raw') return bytes;
    if (encoding === 'zstd') return zstd.unsqueeze(bytes, payloadBytes);
    return decodeColumnar(model, zstd, bytes, alone({ payloadBytes, from: header.from }));
  }
}

const undecodable = (seq: number, cause: unknown): TrmigError =>
  fault(seq, `its bytes cannot be decoded (${cause instanceof Error ? cause.message : String(cause)})`, cause);

function fault(seq: number, why: string, cause?: unknown): TrmigError {
  return new TrmigError('E_LOG_SEGMENT', `segment ${seq}: ${why}`, { facts: { seq }, cause });
}
