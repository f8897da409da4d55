// Bytes of a connection to frames, and frames to bytes.
//
//   0        4          6     7       8           12             16      20
//   | "TRMG" | version  | kind| flags | bodyBytes | payloadBytes | crc32 | body … | payload … |      little-endian
//
// and the short form, after the handshake and to a peer that has said that it reads it:
//
//   | 0x80 + kind | bodyBytes, payloadBytes: varints of at most 4 bytes | crc32 | body … | payload … |
//
// The crc32 covers what lies before it, the body and the payload. Layout and the handshake's tables are the same in every
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
const shortMark = 0x80;
const varintBytesMax = 4;

const isHandshake = (kind: FrameKind): boolean => kind === 'hello' || kind === 'welcome' || kind === 'refuse';

/** An encoded frame: `head` (header and body) then `payload`, both to be written in this order. */
export interface EncodedFrame {
  readonly head: Buffer;
  readonly payload: Buffer | null;
  readonly bytes: number;
}

export interface FrameForm {
  readonly version?: number;
  /** Whether the peer reads the short form. */
  readonly short?: boolean;
}

/**
 * Encodes a frame; the payload is referenced, not copied.
 * @throws TrmigError E_INTERNAL when the frame is larger than its reader would accept.
 */
export function encodeFrame(
  frame: Frame,
  { version = protocolVersionMax, short = false }: FrameForm = {},
): EncodedFrame {
  const { body, payload } = encodeBody(frame);
  const payloadBytes = payload?.length ?? 0;
  const bounds = frameBounds(frame.kind);
  if (body.length > bounds.bodyBytesMax || payloadBytes > bounds.payloadBytesMax) {
    const facts = { kind: frame.kind, bodyBytes: body.length, payloadBytes };
    throw new TrmigError('E_INTERNAL', `a ${frame.kind} frame is larger than its reader accepts`, { facts });
  }
  const checked = short
    ? Buffer.from([shortMark | FRAME_KINDS[frame.kind].number, ...varint(body.length), ...varint(payloadBytes)])
    : longHeader(FRAME_KINDS[frame.kind].number, version, body.length, payloadBytes);
  let checksum = crc32(body, crc32(checked));
  if (payload !== null) checksum = crc32(payload, checksum);
  const head = Buffer.allocUnsafe(checked.length + 4 + body.length);
  checked.copy(head);
  head.writeUInt32LE(checksum, checked.length);
  head.set(body, checked.length + 4);
  return { head, payload, bytes: head.length + payloadBytes };
}

function longHeader(kind: number, version: number, bodyBytes: number, payloadBytes: number): Buffer {
  const header = Buffer.alloc(checkedBytes);
  magic.copy(header, 0);
  header.writeUInt16LE(version, 4);
  header.writeUInt8(kind, 6);
  header.writeUInt32LE(bodyBytes, 8);
  header.writeUInt32LE(payloadBytes, 12);
  return header;
}

/** Seven bits a byte, the lowest first; all but the last have their highest bit set. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return [...bytes, rest];
    bytes.push((rest & 0x7f) | 0x80);
  }
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
  /** What the checksum covers of the header. */
  readonly checked: Buffer;
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
        this.#header = this.#isShort() ? this.#readShort() : this.#readLong();
        if (this.#header === null) return;
      }
      const { kind, bodyBytes, payloadBytes } = this.#header;
      if (this.#bufferedBytes < bodyBytes + payloadBytes) return;
      const body = this.#take(bodyBytes);
      const payload = this.#take(payloadBytes);
      this.#compareChecksum(this.#header, body, payload);
      const frame = decodeBody(kind, body, payload);
      const bytes = this.#header.checked.length + 4 + bodyBytes + payloadBytes;
      this.#header = null;
      this.#offset += bytes;
      yield { frame, bytes };
      // The session's first frames may come in the same chunk; they wait until the handshake has set the version.
      if (this.version === null) return;
    }
  }

  /** Bytes of a frame that has begun and is not complete. */
  get pendingBytes(): number {
    return this.#bufferedBytes + (this.#header === null ? 0 : this.#header.checked.length + 4);
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

  /** Before the handshake nothing is short: then such a byte is a stranger's. */
  #isShort(): boolean {
    return this.version !== null && (this.#chunks[0]?.[0] ?? 0) >= shortMark;
  }

  /** The next header in its short form, or null while it is incomplete. */
  #readShort(): Header | null {
    const bytes = this.#peek(1 + 2 * varintBytesMax + 4);
    const kind = frameKindOf(bytes[0]! & ~shortMark);
    if (kind === undefined) throw this.#fault('E_WIRE_GARBAGE', `there is no frame of kind ${bytes[0]! & ~shortMark}`);
    if (kind === 'hello' || kind === 'welcome') {
      throw this.#fault('E_WIRE_GARBAGE', `a ${kind} frame came after the handshake`);
    }
    const body = this.#varint(bytes, 1);
    const payload = body === null ? null : this.#varint(bytes, body.end);
    if (body === null || payload === null || bytes.length < payload.end + 4) return null;
    this.#checkBounds(kind, body.value, payload.value);
    const checked = this.#take(payload.end);
    const checksum = this.#take(4).readUInt32LE(0);
    return { kind, bodyBytes: body.value, payloadBytes: payload.value, checksum, checked };
  }

  #varint(bytes: Buffer, from: number): { readonly value: number; readonly end: number } | null {
    let value = 0;
    for (let index = 0; index < varintBytesMax; index++) {
      const byte = bytes[from + index];
      if (byte === undefined) return null;
      value |= (byte & 0x7f) << (7 * index);
      if (byte < 0x80) return { value, end: from + index + 1 };
    }
    throw this.#fault('E_WIRE_OVERSIZE', 'a frame has a length of too many digits');
  }

  /** The next header in its long form, or null while it is incomplete. */
  #readLong(): Header | null {
    if (this.#bufferedBytes >= frameHeaderBytes) return this.#readHeader(this.#take(frameHeaderBytes));
    this.#refuseEarly();
    return null;
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
    this.#checkBounds(kind, bodyBytes, payloadBytes);
    const checked = raw.subarray(0, checkedBytes);
    return { kind, bodyBytes, payloadBytes, checksum: raw.readUInt32LE(checkedBytes), checked };
  }

  #checkBounds(kind: FrameKind, bodyBytes: number, payloadBytes: number): void {
    const bounds = frameBounds(kind);
    if (bodyBytes > bounds.bodyBytesMax || payloadBytes > bounds.payloadBytesMax) {
      throw this.#fault('E_WIRE_OVERSIZE', `a ${kind} frame says it has ${bodyBytes} + ${payloadBytes} bytes`);
    }
  }

  #compareChecksum(header: Header, body: Buffer, payload: Buffer): void {
    const checksum = crc32(payload, crc32(body, crc32(header.checked)));
    if (checksum !== header.checksum) throw this.#fault('E_WIRE_CHECKSUM', `a ${header.kind} frame was damaged`);
  }

  /** Up to `count` of the next bytes, which stay. They are put together where they cross chunks, which is rare. */
  #peek(count: number): Buffer {
    const wanted = Math.min(count, this.#bufferedBytes);
    const first = this.#chunks[0]!;
    if (first.length >= wanted) return first.subarray(0, wanted);
    const together = this.#take(wanted);
    this.#chunks.unshift(together);
    this.#bufferedBytes += wanted;
    return together;
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
