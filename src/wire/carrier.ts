// One connection as frames: what a link has one of at a time, and may have another of after it.
// Invariants: once it was ended, lost or found at fault, its owner hears nothing more of it; no throw escapes into the event
// loop; its counts are of this connection alone.

import type { Duplex } from 'node:stream';
import { TrmigError, asTrmigError } from '../errors.js';
import { wireFarewellMs } from '../limits.js';
import { FrameParser, type EncodedFrame, type ParsedFrame } from './parser.js';

export interface CarrierOwner {
  /** What it throws is the peer's fault. */
  frame(parsed: ParsedFrame): void;
  /** More can be written. */
  drained(): void;
  /** The connection is gone; null: it ended between two frames, as when its other end was closed. */
  lost(error: TrmigError | null): void;
  /** The peer has sent what nobody may. */
  fault(error: TrmigError): void;
}

export function peerGone(name: string, why: string, cause?: unknown): TrmigError {
  return new TrmigError('E_PEER_GONE', `the connection to ${name} broke: ${why}`, { cause, facts: { peer: name } });
}

export class Carrier {
  /** Bytes of whole frames. */
  sentBytes = 0;
  receivedBytes = 0;
  /** When something came last. */
  heardMs: number;
  owner: CarrierOwner | null = null;

  readonly #parser = new FrameParser();
  #paused = false;

  constructor(
    private readonly socket: Duplex,
    private readonly name: string,
    private readonly nowMs: () => number,
  ) {
    this.heardMs = nowMs();
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('drain', () => this.owner?.drained());
    socket.on('end', () => this.#onEnd());
    socket.on('error', (error: Error) => this.owner?.lost(peerGone(name, error.message, error)));
    socket.on('close', () => this.#onEnd());
  }

  get isPaused(): boolean {
    return this.#paused;
  }

  /** Whether the socket has enough; `drained` says when it wants more. */
  get isBlocked(): boolean {
    return this.socket.writableNeedDrain;
  }

  /** The handshake is done: frames of `version` from here on, those that have come already first. */
  open(version: number): void {
    this.#parser.version = version;
    this.#take(Buffer.alloc(0));
  }

  write({ head, payload, bytes }: EncodedFrame): void {
    this.sentBytes += bytes;
    this.socket.cork();
    this.socket.write(head);
    if (payload !== null && payload.length > 0) this.socket.write(payload);
    this.socket.uncork();
  }

  pause(): void {
    this.#paused = true;
    this.socket.pause();
  }

  resume(): void {
    this.#paused = false;
    this.heardMs = this.nowMs();
    this.socket.resume();
  }

  /** Half-closes: what was written still arrives, and the owner hears when the other end closes too. */
  finish(): void {
    this.socket.end();
  }

  /** Lets what was written arrive, and is no more. */
  end(): void {
    this.owner = null;
    this.socket.end();
  }

  /** As `end`, with a last word, and without waiting long for a peer that does not read. */
  leave({ head }: EncodedFrame): void {
    this.owner = null;
    const destroy = (): void => void this.socket.destroy();
    setTimeout(destroy, wireFarewellMs).unref();
    this.socket.end(head, destroy);
  }

  destroy(): void {
    this.owner = null;
    this.socket.destroy();
  }

  get #isOver(): boolean {
    return this.owner === null;
  }

  #take(chunk: Buffer): void {
    if (this.#isOver) return;
    this.heardMs = this.nowMs();
    try {
      for (const parsed of this.#parser.push(chunk)) {
        this.receivedBytes += parsed.bytes;
        this.owner?.frame(parsed);
      }
    } catch (error) {
      this.owner?.fault(asTrmigError(error));
    }
  }

  #onEnd(): void {
    const partial = this.#parser.pendingBytes;
    const inside = partial > 0 ? peerGone(this.name, `it ended inside a frame, ${partial} bytes into it`) : null;
    this.owner?.lost(inside);
  }
}
