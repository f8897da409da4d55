// A link without a connection: who makes another, how long that is waited for, and what it has come to in all.
// Invariants: never longer than the two ends have agreed on; an outage ends once, by another connection or for good; whoever
// dials then is told by a signal.

import { setTimeout as delay } from 'node:timers/promises';
import { TrmigError, asTrmigError, type ErrorCode } from '../errors.js';
import { redialAttemptMs, redialMsMax, redialMsMin } from '../limits.js';

/** What two ends have agreed on for the case that their connection is lost. */
export interface Resumption {
  /** How long another connection is waited for, ms. */
  readonly reconnectMs: number;
  /** Makes another connection and has the link go on over it; null on the side that is called. */
  readonly redial: ((signal: AbortSignal) => Promise<void>) | null;
}

export interface OutagesOptions extends Resumption {
  /** Of the peer, for errors. */
  readonly name: string;
  readonly nowMs: () => number;
  /** The link has ended: with what it was lost by, where nothing was waited for. */
  readonly giveUp: (error: TrmigError | null) => void;
}

interface Outage {
  readonly sinceMs: number;
  readonly cause: TrmigError | null;
  readonly over: AbortController;
  timer: NodeJS.Timeout | null;
  /** Why the last try came to nothing. */
  failure: TrmigError | null;
}

/** Another try would end no better. */
const final: readonly ErrorCode[] = [
  ...(['E_LINK_GONE', 'E_PEER_REFUSED', 'E_UNTRUSTED', 'E_KEY_EXPIRED', 'E_KEYS_MISSING', 'E_KEYS'] as const),
  'E_WIRE_VERSION',
];

export interface OutagesSoFar {
  /** How often the link went on over another connection. */
  readonly reconnects: number;
  /** For how long it had none, in all. */
  readonly brokenMs: number;
  /** For how long it has had none now; null while it has one. */
  readonly brokenForMs: number | null;
}

export class Outages {
  #reconnects = 0;
  #pastMs = 0;
  #patienceMs: number;
  #current: Outage | null = null;

  constructor(private readonly options: OutagesOptions) {
    this.#patienceMs = options.reconnectMs;
  }

  get soFar(): OutagesSoFar {
    const brokenForMs = this.#current === null ? null : this.options.nowMs() - this.#current.sinceMs;
    return { reconnects: this.#reconnects, brokenMs: this.#pastMs + (brokenForMs ?? 0), brokenForMs };
  }

  /** From now on no outage is waited for longer than this, one that goes on neither. */
  patience(ms: number): void {
    this.#patienceMs = Math.min(ms, this.options.reconnectMs);
    if (this.#current !== null) this.#arm(this.#current);
  }

  /** The connection is lost; null: it ended without a word. */
  begin(cause: TrmigError | null): void {
    const { nowMs, redial } = this.options;
    const outage: Outage = { sinceMs: nowMs(), cause, over: new AbortController(), timer: null, failure: null };
    this.#current = outage;
    this.#arm(outage);
    if (redial !== null && this.#current === outage) void this.#redial(outage, redial);
  }

  /** There is another connection. */
  mended(): void {
    this.#reconnects++;
    this.end();
  }

  /** There is another connection, or the link has ended. */
  end(): void {
    const outage = this.#current;
    if (outage === null) return;
    this.#pastMs = this.soFar.brokenMs;
    this.#current = null;
    if (outage.timer !== null) clearTimeout(outage.timer);
    outage.over.abort();
  }

  #arm(outage: Outage): void {
    if (outage.timer !== null) clearTimeout(outage.timer);
    const leftMs = outage.sinceMs + this.#patienceMs - this.options.nowMs();
    if (leftMs <= 0) this.#giveUp(outage);
    else outage.timer = setTimeout(() => this.#giveUp(outage), leftMs);
  }

  async #redial(outage: Outage, redial: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { signal } = outage.over;
    for (let pauseMs = redialMsMin; !signal.aborted; pauseMs = Math.min(2 * pauseMs, redialMsMax)) {
      try {
        await redial(AbortSignal.any([signal, AbortSignal.timeout(redialAttemptMs)]));
        return;
      } catch (error) {
        if (this.#current !== outage) return;
        outage.failure = asTrmigError(error);
        if (final.includes(outage.failure.code)) this.#giveUp(outage);
      }
      await delay(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  }

  #giveUp(outage: Outage): void {
    if (this.#current !== outage) return;
    const waitedMs = Math.round(this.options.nowMs() - outage.sinceMs);
    this.end();
    this.options.giveUp(this.#patienceMs === 0 ? outage.cause : this.#gone(outage, waitedMs));
  }

  #gone({ cause, failure }: Outage, waitedMs: number): TrmigError {
    const { name } = this.options;
    const why = failure?.message ?? cause?.message ?? 'it ended without a word';
    const message = `the connection to ${name} was lost, and there was no other within ${waitedMs} ms: ${why}`;
    return new TrmigError('E_LINK_GONE', message, { cause: failure ?? cause, facts: { peer: name, waitedMs } });
  }
}
