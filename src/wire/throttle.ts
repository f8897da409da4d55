// How much of the network a link may take: `--bandwidth`. Two buckets of tokens, of one rate: everything draws on the first,
// the log and the device state on the second too. Bulk waits for the first, the log for the second alone, so that it is never
// held up by the image that went before it. Control frames neither draw nor wait: they are small, and late ones cost the guest.
// Invariants: in any time t, what went is at most rate × (t + burst) and one frame of bulk, and the log's burst; a frame is let
// go whole while its bucket is not in debt, whatever its size, and the debt is waited for afterwards.

import { throttleBurstMs } from '../limits.js';
import type { BytesKind } from './frames.js';

/** Fills with time, may be overdrawn. Pure: the caller brings the clock. */
export class TokenBucket {
  #tokens: number;
  #atMs: number;
  readonly #most: number;

  constructor(
    private readonly bytesPerSecond: number,
    nowMs: number,
  ) {
    this.#most = this.#tokens = (bytesPerSecond * throttleBurstMs) / 1000;
    this.#atMs = nowMs;
  }

  /** Until it is out of debt; 0 when it is. */
  waitMs(nowMs: number): number {
    this.#fill(nowMs);
    return this.#tokens >= 0 ? 0 : (-this.#tokens * 1000) / this.bytesPerSecond;
  }

  take(bytes: number, nowMs: number): void {
    this.#fill(nowMs);
    this.#tokens -= bytes;
  }

  #fill(nowMs: number): void {
    // A clock that stands still or goes back gives nothing, and takes nothing.
    const grownMs = Math.max(0, nowMs - this.#atMs);
    this.#atMs = nowMs;
    this.#tokens = Math.min(this.#most, this.#tokens + (grownMs * this.bytesPerSecond) / 1000);
  }
}

/** The cap of one link, for what this side sends. */
export class Throttle {
  readonly #all: TokenBucket;
  readonly #log: TokenBucket;

  constructor(bytesPerSecond: number, nowMs: number) {
    this.#all = new TokenBucket(bytesPerSecond, nowMs);
    this.#log = new TokenBucket(bytesPerSecond, nowMs);
  }

  /** How long a frame of this kind has to wait from now on; 0: it may go. */
  waitMs(kind: BytesKind, nowMs: number): number {
    if (kind === 'overhead') return 0;
    return (isBulk(kind) ? this.#all : this.#log).waitMs(nowMs);
  }

  sent(kind: BytesKind, bytes: number, nowMs: number): void {
    if (kind === 'overhead') return;
    this.#all.take(bytes, nowMs);
    if (!isBulk(kind)) this.#log.take(bytes, nowMs);
  }
}

const isBulk = (kind: BytesKind): boolean => kind === 'base' || kind === 'disk';
