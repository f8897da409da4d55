// A segment's payload in two encodings. On the wire one zstd context lives as long as the link and is flushed for each
// segment, so that tiny segments compress against their past; whoever reconnects begins with a new pair of codecs. On disk
// each segment is a frame of its own, so that reading may start anywhere.
//
// Invariants:
// - A decoder never produces, or reserves, more than the payload bytes that a header promised and `limits` allow.
// - A segment comes out only after its checksum, its events and its instructions were compared with its header.
// - A wire decoder that has failed stays failed: its context no longer matches the sender's.
import binding from 'zstd-napi/binding.js';
import { TrmigError } from '../errors.js';
import { logWindowLog, segmentPayloadBytesMax, zstdWindowLogMax } from '../limits.js';
import { checkSegment, type Segment, type SegmentEncoding, type SegmentHeader } from './segment.js';

const { CCtx, CParameter, DCtx, DParameter, EndDirective, ResetDirective, compressBound, getFrameContentSize } =
  binding;
const compressionLevel = 3; // the next levels cost twice the time for a few per cent

/** What a receiver needs to know beside the encoded bytes. */
export interface EncodedHeader extends SegmentHeader {
  readonly encoding: SegmentEncoding;
  readonly payloadBytes: number;
}

/** The header that belongs to what `WireEncoder.encode` or `encodeForDisk` made of the same segment. */
export function encodedHeader(segment: Segment): EncodedHeader {
  const { payload, ...header } = segment;
  return { ...header, encoding: payload.length === 0 ? 'raw' : 'zstd', payloadBytes: payload.length };
}

/** The sending half of a link's log. */
export class WireEncoder {
  readonly #context = new CCtx();

  constructor() {
    this.#context.setParameter(CParameter.compressionLevel, compressionLevel);
    this.#context.setParameter(CParameter.windowLog, logWindowLog);
  }

  /** The payload's bytes for the wire; an empty payload is no bytes. Must be sent in the order of the calls. */
  encode(segment: Segment): Buffer {
    const { payload } = segment;
    if (payload.length === 0) return Buffer.alloc(0);
    const pieces: Buffer[] = [];
    for (let at = 0, more = true; more;) {
      const piece = Buffer.allocUnsafe(compressBound(payload.length - at) + 64);
      const [left, produced, consumed] = this.#context.compressStream2(piece, payload.subarray(at), EndDirective.flush);
      pieces.push(piece.subarray(0, produced));
      at += consumed;
      more = left > 0 || at < payload.length;
    }
    // Sized copies: the scratch space is as large as the payload, the outcome a fraction of it.
    return Buffer.concat(pieces);
  }
}

/** The receiving half. */
export class WireDecoder {
  readonly #context = new DCtx();
  #fault: TrmigError | null = null;

  constructor() {
    this.#context.setParameter(DParameter.windowLogMax, logWindowLog);
  }

  /**
   * @throws TrmigError E_LOG_SEGMENT or E_LOG_EVENT; from then on each call throws the same.
   */
  decode(header: EncodedHeader, bytes: Uint8Array): Segment {
    if (this.#fault !== null) throw this.#fault;
    try {
      return finish(header, header.encoding === 'raw' ? bytes : this.#inflate(header, bytes));
    } catch (error) {
      this.#fault = error instanceof TrmigError ? error : undecodable(header, error);
      throw this.#fault;
    }
  }

  #inflate(header: EncodedHeader, bytes: Uint8Array): Buffer {
    // One byte more than promised: a payload that is too long shows as such, and goes no further.
    const output = Buffer.allocUnsafeSlow(boundedLength(header) + 1);
    let filled = 0;
    for (let at = 0; at < bytes.length;) {
      const [, produced, consumed] = this.#context.decompressStream(output.subarray(filled), bytes.subarray(at));
      filled += produced;
      at += consumed;
      if (filled > header.payloadBytes || (produced === 0 && consumed === 0)) throw wrongLength(header);
    }
    if (filled !== header.payloadBytes) throw wrongLength(header);
    return output.subarray(0, filled);
  }
}

const diskEncoder = new CCtx();
diskEncoder.setParameter(CParameter.compressionLevel, compressionLevel);
const diskDecoder = new DCtx();
diskDecoder.setParameter(DParameter.windowLogMax, zstdWindowLogMax);

/** The payload as a zstd frame of its own; an empty payload is no bytes. */
export function encodeForDisk(segment: Segment): Buffer {
  const { payload } = segment;
  if (payload.length === 0) return Buffer.alloc(0);
  const output = Buffer.allocUnsafe(compressBound(payload.length));
  return Buffer.from(output.subarray(0, diskEncoder.compress2(output, payload)));
}

/**
 * Undoes `encodeForDisk`.
 * @throws TrmigError E_LOG_SEGMENT or E_LOG_EVENT.
 */
export function decodeFromDisk(header: EncodedHeader, bytes: Uint8Array): Segment {
  if (header.encoding === 'raw') return finish(header, bytes);
  const output = Buffer.allocUnsafeSlow(boundedLength(header));
  let filled;
  try {
    if (getFrameContentSize(bytes) !== header.payloadBytes) throw wrongLength(header);
    filled = diskDecoder.decompress(output, bytes);
  } catch (error) {
    diskDecoder.reset(ResetDirective.sessionOnly);
    throw error instanceof TrmigError ? error : undecodable(header, error);
  }
  if (filled !== header.payloadBytes) throw wrongLength(header);
  return finish(header, output);
}

function finish(header: EncodedHeader, payload: Uint8Array): Segment {
  if (payload.length !== header.payloadBytes) throw wrongLength(header);
  const { encoding: _encoding, payloadBytes: _payloadBytes, ...rest } = header;
  const segment = { ...rest, payload: Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength) };
  checkSegment(segment);
  return segment;
}

function boundedLength(header: EncodedHeader): number {
  if (header.payloadBytes <= segmentPayloadBytesMax) return header.payloadBytes;
  throw fault(header, `a payload of ${header.payloadBytes} bytes is larger than ${segmentPayloadBytesMax}`);
}

const wrongLength = (header: EncodedHeader): TrmigError =>
  fault(header, `its bytes do not hold the ${header.payloadBytes} bytes of payload that its header promises`);

const undecodable = (header: EncodedHeader, cause: unknown): TrmigError =>
  fault(header, `its bytes cannot be decompressed (${cause instanceof Error ? cause.message : String(cause)})`, cause);

function fault(header: SegmentHeader, why: string, cause?: unknown): TrmigError {
  return new TrmigError('E_LOG_SEGMENT', `segment ${header.seq}: ${why}`, { facts: { seq: header.seq }, cause });
}
