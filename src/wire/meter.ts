// What a connection has cost and what it can carry. Bytes are counted as whole frames by what they are for, so that the
// kinds add up to the socket's own count exactly.
// The rate is measured from the far end: a pong says how much has arrived, so that what merely left for a kernel's buffer
// is not taken for delivered. Only intervals in which bytes were waiting at both ends say what the link *can* carry.

import type { BytesKind } from './frames.js';

export type BytesByKind = Readonly<Record<BytesKind, number>>;

/** Bytes of both directions by kind. Each record's values sum to what the socket has moved. */
export interface LinkBytes {
  readonly sent: BytesByKind;
  readonly received: BytesByKind;
}

export interface LinkRates {
  /** Median of recent intervals in which the link was the limit; null while it never was. */
  readonly saturatedBytesPerS: number | null;
  /** The best of the recent intervals, whatever the limit was: the link carries at least that. */
  readonly deliveredBytesPerS: number;
  /** Best round trip of the recent heartbeats, waiting in queues included; null before the first. */
  readonly rttMs: number | null;
}

const zero = (): Record<BytesKind, number> => ({ base: 0, log: 0, deviceState: 0, disk: 0, overhead: 0 });

/** The total of a record by kind. */
export function totalBytes(bytes: BytesByKind): number {
  return bytes.base + bytes.log + bytes.deviceState + bytes.disk + bytes.overhead;
}

/** Counts frames. */
export class ByteMeter {
  readonly sent = zero();
  readonly received = zero();

  /** Counts what another connection has moved. */
  add({ sent, received }: LinkBytes): void {
    for (const kind of Object.keys(sent) as BytesKind[]) {
      this.sent[kind] += sent[kind];
      this.received[kind] += received[kind];
    }
  }

  /** A copy that later counting does not change. */
  snapshot(): LinkBytes {
    return { sent: { ...this.sent }, received: { ...this.received } };
  }
}

interface Pong {
  readonly atMs: number;
  readonly receivedBytes: number;
  readonly waitingBytes: number;
}

/** Bytes under way that make an interval count as saturated: more than a few control frames. */
const waitingBytesMin = 128 * 1024;
const samplesMax = 16;
/** Shorter intervals measure the scheduler. */
const intervalMsMin = 20;

/** Estimates rates and round trip from heartbeats. Pure: the caller brings the clock. */
export class RateMeter {
  #last: Pong | null = null;
  readonly #saturated: number[] = [];
  readonly #delivered: number[] = [];
  readonly #rtts: number[] = [];

  /** A pong came at `atMs`, to a ping that left at `askedMs`; we had sent `sentBytes` in all by now. */
  pong(atMs: number, askedMs: number, receivedBytes: number, sentBytes: number): void {
    remember(this.#rtts, atMs - askedMs);
    const now: Pong = { atMs, receivedBytes, waitingBytes: sentBytes - receivedBytes };
    const last = this.#last;
    if (last !== null && atMs - last.atMs < intervalMsMin) return;
    this.#last = now;
    if (last === null) return;
    const rate = ((receivedBytes - last.receivedBytes) * 1000) / (atMs - last.atMs);
    remember(this.#delivered, rate);
    if (last.waitingBytes >= waitingBytesMin && now.waitingBytes >= waitingBytesMin) remember(this.#saturated, rate);
  }

  /** Another connection counts from nothing. */
  restart(): void {
    this.#last = null;
  }

  get rates(): LinkRates {
    return {
      saturatedBytesPerS: this.#saturated.length === 0 ? null : median(this.#saturated),
      deliveredBytesPerS: this.#delivered.length === 0 ? 0 : Math.max(...this.#delivered),
      rttMs: this.#rtts.length === 0 ? null : Math.min(...this.#rtts),
    };
  }
}

function remember(samples: number[], value: number): void {
  samples.push(value);
  if (samples.length > samplesMax) samples.shift();
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
