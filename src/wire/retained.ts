// What was sent and may be lost: frames of the session that the peer has not said it has. They are counted from the handshake
// on, on both sides alike, so that a count says which.
// Invariants: kept in the order in which they went; what is sent again is sent in that order, before anything new.

import { TrmigError } from '../errors.js';
import type { FrameKind } from './frames.js';
import type { EncodedFrame } from './parser.js';

export interface RetainedFrame extends EncodedFrame {
  readonly kind: FrameKind;
}

export class Retained {
  readonly #frames: RetainedFrame[] = [];
  /** How many the peer has. */
  #acknowledged = 0;
  #bytes = 0;
  /** Index of the first that is to be sent again. */
  #again = 0;

  /** Payloads are kept by reference. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A frame that goes out now, for the first time. */
  keep(frame: RetainedFrame): void {
    this.#frames.push(frame);
    this.#bytes += frame.bytes;
    this.#again = this.#frames.length;
  }

  /**
   * The peer has `count` frames, from the first on.
   * @throws TrmigError E_WIRE_GARBAGE when so many were never sent, or it has said of more that it has them
   */
  acknowledge(count: number): void {
    const gone = count - this.#acknowledged;
    if (gone < 0 || gone > this.#frames.length) {
      const sent = this.#acknowledged + this.#frames.length;
      throw new TrmigError('E_WIRE_GARBAGE', `the peer speaks of ${count} frames where ${sent} were sent`);
    }
    for (const { bytes } of this.#frames.splice(0, gone)) this.#bytes -= bytes;
    this.#acknowledged = count;
    this.#again = Math.max(0, this.#again - gone);
  }

  /** A connection is lost, and with it what was not acknowledged. */
  rewind(): void {
    this.#again = 0;
  }

  /** The next frame to send again; undefined when nothing is lost. */
  get lost(): RetainedFrame | undefined {
    return this.#frames[this.#again];
  }

  sentAgain(): void {
    this.#again++;
  }
}
