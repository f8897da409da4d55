// Bytes of a connection to frames, and frames to bytes.
//
//   0        4          6     7       8           12             16      20
//   | "TRMG" | version  | kind| flags | bodyBytes | payloadBytes | crc32 | body … | payload … |      little-endian
//
// The crc32 covers the first 16 bytes, the body and the payload. Layout and the handshake's tables are the same in every
// version. Invariants: no length is believed before it was compared with the kind's bound, so a hostile peer cannot make
// us allocate; flags are 0; the first fault ends the stream, because nothing after it can be trusted.

import { crc32 } from 'node:zlib';
import { TrmigError } from '../errors.js';
import { decodeBody, encodeBody, frameBounds } from './codec.js';
import { FRAME_KINDS, frameKindOf, type Frame, type FrameKind } from './frames.js';

/** The versions of the protocol that this trmig speaks. */
export const protocolVersionMin = 1;
export const protocolVersionMax = 1;

export const frameHeaderBytes = 20;
const checkedBytes = 16;
const magic = Buffer.from('TRMG', 'ascii');

const isHandshake = (kind: FrameKind): boolean => kind === 'hello' || kind === 'welcome' || kind === 'refuse';

/** An encoded frame: `head` (header and body) then `payload`, both to be written in this order. */
export interface EncodedFrame {
  readonly head: Buffer;
  readonly payload: Buffer | null;
  readonly bytes: number;
}

/**
 * Encodes a frame; the payload is referenced, not copied.
 * @throws TrmigError E_INTERNAL when the frame is larger than its reader would accept.
 */
export function encodeFrame(frame: Frame, version: number = protocolVersionMax): EncodedFrame {
  const { body, payload } = encodeBody(frame);
  const payloadBytes = payload?.length ?? 0;
  const bounds = frameBounds(frame.kind);
  if (body.length > bounds.bodyBytesMax || payloadBytes > bounds.payloadBytesMax) {
    const facts = { kind: frame.kind, bodyBytes: body.length, payloadBytes };
    throw new TrmigError('E_INTERNAL', `a ${frame.kind} frame is larger than its reader accepts`, { facts });
  }
  const head = Buffer.allocUnsafe(frameHeaderBytes + body.length);
  magic.copy(head, 0);
  head.writeUInt16LE(version, 4);
  head.writeUInt8(FRAME_KINDS[frame.kind].number, 6);
  head.writeUInt8(0, 7);
  head.writeUInt32LE(body.length, 8);
  head.writeUInt32LE(payloadBytes, 12);
  head.set(body, frameHeaderBytes);
  let checksum = crc32(body, crc32(head.subarray(0, checkedBytes)));
  if (payload !== null) checksum = crc32(payload, checksum);
  head.writeUInt32LE(checksum, checkedBytes);
  return { head, payload, bytes: head.length + payloadBytes };
}

/** A parsed frame and how many bytes of the stream it took. */
export interface ParsedFrame {
  readonly frame: Frame;
  readonly bytes: number;
}

interface Header {
  readonly kind: FrameKind;
  readonly bodyBytes: number;
  readonly payloadBytes: number;
  readonly checksum: number;
  readonly raw: Buffer;
}

/** Cuts a stream of bytes into frames. One per connection; after it has thrown it must not be used again. */
export class FrameParser {
  /** The negotiated version; null before the handshake is done, when only handshake frames are let through. */
  version: number | null = null;

  readonly #chunks: Buffer[] = [];
  #bufferedBytes = 0;
  #header: Header | null = null;
  #offset = 0;

  /**
   * Yields the frames that are complete with `chunk`; during the handshake one at most (push an empty chunk to go on).
   * Must be consumed to its end.
   * @throws TrmigError E_WIRE_GARBAGE, E_WIRE_OVERSIZE, E_WIRE_CHECKSUM or E_WIRE_VERSION, with the stream's offset.
   */
  *push(chunk: Buffer): Generator<ParsedFrame> {
    if (chunk.length > 0) this.#chunks.push(chunk);
    this.#bufferedBytes += chunk.length;
    for (;;) {
      if (this.#header === null) {
        if (this.#bufferedBytes < frameHeaderBytes) {
          this.#refuseEarly();
          return;
        }
        this.#header = this.#readHeader(this.#take(frameHeaderBytes));
      }
      const { kind, bodyBytes, payloadBytes } = this.#header;
      if (this.#bufferedBytes < bodyBytes + payloadBytes) return;
      const body = this.#take(bodyBytes);
      const payload = this.#take(payloadBytes);
      this.#compareChecksum(this.#header, body, payload);
      const frame = decodeBody(kind, body, payload);
      const bytes = frameHeaderBytes + bodyBytes + payloadBytes;
      this.#header = null;
      this.#offset += bytes;
      yield { frame, bytes };
      // The session's first frames may come in the same chunk; they wait until the handshake has set the version.
      if (this.version === null) return;
    }
  }

  /** Bytes of a frame that has begun and is not complete. */
  get pendingBytes(): number {
    return this.#bufferedBytes + (this.#header === null ? 0 : frameHeaderBytes);
  }

  #fault(code: 'E_WIRE_GARBAGE' | 'E_WIRE_OVERSIZE' | 'E_WIRE_CHECKSUM' | 'E_WIRE_VERSION', why: string): TrmigError {
    return new TrmigError(code, `${why} (byte ${this.#offset} of the connection)`, { facts: { offset: this.#offset } });
  }

  /** A wrong magic is told at its first byte: a peer that is no trmig may never send a whole header. */
  #refuseEarly(): void {
    const first = this.#chunks[0];
    if (first === undefined) return;
    const known = Math.min(first.length, magic.length);
    if (!first.subarray(0, known).equals(magic.subarray(0, known))) {
      throw this.#fault('E_WIRE_GARBAGE', 'the peer does not speak the protocol of trmig');
    }
  }

  #readHeader(raw: Buffer): Header {
    if (!raw.subarray(0, 4).equals(magic)) {
      throw this.#fault('E_WIRE_GARBAGE', 'the peer does not speak the protocol of trmig');
    }
    const version = raw.readUInt16LE(4);
    const kind = frameKindOf(raw.readUInt8(6));
    if (version === 0) throw this.#fault('E_WIRE_GARBAGE', 'a frame has no version');
    const handshake = kind !== undefined && isHandshake(kind);
    if (!handshake && this.version !== null && version !== this.version) {
      throw this.#fault('E_WIRE_VERSION', `a frame of version ${version} came where ${this.version} was agreed`);
    }
    if (kind === undefined) throw this.#fault('E_WIRE_GARBAGE', `there is no frame of kind ${raw.readUInt8(6)}`);
    if (raw.readUInt8(7) !== 0) throw this.#fault('E_WIRE_GARBAGE', `a ${kind} frame has unknown flags`);
    if (!handshake && this.version === null) {
      throw this.#fault('E_WIRE_GARBAGE', `a ${kind} frame came before the handshake`);
    }
    if (this.version !== null && (kind === 'hello' || kind === 'welcome')) {
      throw this.#fault('E_WIRE_GARBAGE', `a ${kind} frame came after the handshake`);
    }
    const [bodyBytes, payloadBytes] = [raw.readUInt32LE(8), raw.readUInt32LE(12)];
    const bounds = frameBounds(kind);
    if (bodyBytes > bounds.bodyBytesMax || payloadBytes > bounds.payloadBytesMax) {
      throw this.#fault('E_WIRE_OVERSIZE', `a ${kind} frame says it has ${bodyBytes} + ${payloadBytes} bytes`);
    }
    return { kind, bodyBytes, payloadBytes, checksum: raw.readUInt32LE(checkedBytes), raw };
  }

  #compareChecksum(header: Header, body: Buffer, payload: Buffer): void {
    const checksum = crc32(payload, crc32(body, crc32(header.raw.subarray(0, checkedBytes))));
    if (checksum !== header.checksum) throw this.#fault('E_WIRE_CHECKSUM', `a ${header.kind} frame was damaged`);
  }

  /** The next `count` buffered bytes; copied only where they cross chunks. */
  #take(count: number): Buffer {
    this.#bufferedBytes -= count;
    const first = this.#chunks[0];
    if (count === 0 || first === undefined) return Buffer.alloc(0);
    if (first.length > count) {
      this.#chunks[0] = first.subarray(count);
      return first.subarray(0, count);
    }
    if (first.length === count) return this.#chunks.shift()!;
    const whole = Buffer.allocUnsafe(count);
    let filled = 0;
    let used = 0;
    while (filled < count) {
      const chunk = this.#chunks[used]!;
      const taken = Math.min(chunk.length, count - filled);
      chunk.copy(whole, filled, 0, taken);
      filled += taken;
      if (taken === chunk.length) used++;
      else this.#chunks[used] = chunk.subarray(taken);
    }
    this.#chunks.splice(0, used);
    return whole;
  }
}
