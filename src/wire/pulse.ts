// Whether the peer is there, how far away it is, and what comes through to it: pings, and the pongs that answer them.
// Invariant: what was asked on one connection is not answered on another.

import { TrmigError } from '../errors.js';
import type { Carrier } from './carrier.js';
import type { PingFrame, PongFrame } from './frames.js';
import { RateMeter, type LinkRates } from './meter.js';

/** More unanswered ones would tell no more. */
const unansweredMax = 4;

export class Pulse {
  readonly #meter = new RateMeter();
  readonly #askedMs = new Map<number, number>();
  #token = 0;
  #tickMs: number;

  constructor(
    private readonly heartbeatMs: number,
    private readonly nowMs: () => number,
  ) {
    this.#tickMs = nowMs();
  }

  get rates(): LinkRates {
    return this.#meter.rates;
  }

  /** On another connection from here on. */
  restart(): void {
    this.#askedMs.clear();
    this.#meter.restart();
    this.#tickMs = this.nowMs();
  }

  /** To be asked with each beat: for how long nothing has come though it could; while we do not read that says nothing. */
  silenceMs(carrier: Carrier): number {
    const nowMs = this.nowMs();
    // We ourselves were suspended: silence in that time says nothing about the peer.
    if (nowMs - this.#tickMs > 4 * this.heartbeatMs) carrier.heardMs = nowMs;
    this.#tickMs = nowMs;
    return carrier.isPaused ? 0 : nowMs - carrier.heardMs;
  }

  /** What to ask now; null: enough is asked. */
  ping(): PingFrame | null {
    if (this.#askedMs.size >= unansweredMax) return null;
    this.#token = (this.#token + 1) >>> 0;
    this.#askedMs.set(this.#token, this.nowMs());
    return { kind: 'ping', token: this.#token };
  }

  /** An answer; we have sent `sentBytes` on this connection by now. @throws TrmigError E_WIRE_GARBAGE */
  pong({ token, receivedBytes }: PongFrame, sentBytes: number): void {
    const askedMs = this.#askedMs.get(token);
    this.#askedMs.delete(token);
    if (askedMs === undefined) throw new TrmigError('E_WIRE_GARBAGE', 'a pong came that nobody had asked for');
    this.#meter.pong(this.nowMs(), askedMs, receivedBytes, sentBytes);
  }
}
