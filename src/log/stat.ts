// What a log consists of: events and bytes by kind, and how fast they came. Answers "what is so expensive in this log".
import { eventNames } from './event-codes.js';
import { scanPayload } from './scan.js';
import type { Segment } from './segment.js';

export interface KindStat {
  readonly kind: string;
  readonly count: number;
  readonly bytes: number;
}

export interface LogStat {
  readonly segments: number;
  readonly events: number;
  /** Bytes of payload, not compressed. */
  readonly bytes: number;
  readonly instructions: number;
  /** Guest time covered, by its virtual clock. */
  readonly virtualNs: number;
  /** Host time covered, by the recording hosts' monotonic clocks. */
  readonly hostNs: number;
  /** Per second of host time; null when the log does not cover any. */
  readonly bytesPerSecond: number | null;
  readonly eventsPerSecond: number | null;
  readonly instructionsPerSecond: number | null;
  /** Whether the log's last segment says that it is the last. */
  readonly final: boolean;
  /** The kinds that occur, those with most bytes first. */
  readonly kinds: readonly KindStat[];
}

/** The clocks at the log's beginning; without them the first segment's own duration is not counted. */
export interface LogStart {
  readonly virtualNs?: number;
  readonly hostNs?: number;
}

/** Adds up segments as they come; `result` may be asked for at any time. */
export class LogStatistics {
  readonly #counts = new Float64Array(eventNames.length);
  readonly #bytes = new Float64Array(eventNames.length);
  #segments = 0;
  #instructions = 0;
  #startVirtualNs: number | undefined;
  #startHostNs: number | undefined;
  /** Up to `#startHostNs`: what hosts before took whose clock was another one. */
  #beforeHostNs = 0;
  #last: Segment | null = null;

  constructor(start: LogStart = {}) {
    this.#startVirtualNs = start.virtualNs;
    this.#startHostNs = start.hostNs;
  }

  /** @throws TrmigError E_LOG_EVENT when the payload is not a run of whole events. */
  add(segment: Segment): void {
    const scan = scanPayload(segment.payload);
    for (let code = 0; code < eventNames.length; code++) {
      this.#counts[code]! += scan.counts[code]!;
      this.#bytes[code]! += scan.bytes[code]!;
    }
    this.#segments += 1;
    this.#instructions += scan.instructions;
    this.#startVirtualNs ??= segment.virtualNs;
    this.#startHostNs ??= segment.hostNs;
    if (this.#last?.final === true) {
      this.#beforeHostNs += this.#last.hostNs - this.#startHostNs;
      this.#startHostNs = segment.hostNs;
    }
    this.#last = segment;
  }

  result(): LogStat {
    const sum = (values: Float64Array): number => values.reduce((total, value) => total + value, 0);
    const hostNs = this.#beforeHostNs + (this.#last === null ? 0 : this.#last.hostNs - this.#startHostNs!);
    const perSecond = (amount: number): number | null => (hostNs > 0 ? (amount * 1e9) / hostNs : null);
    const events = sum(this.#counts);
    const bytes = sum(this.#bytes);
    return {
      segments: this.#segments,
      events,
      bytes,
      instructions: this.#instructions,
      virtualNs: (this.#last?.virtualNs ?? 0) - (this.#last === null ? 0 : this.#startVirtualNs!),
      hostNs,
      bytesPerSecond: perSecond(bytes),
      eventsPerSecond: perSecond(events),
      instructionsPerSecond: perSecond(this.#instructions),
      final: this.#last?.final ?? false,
      kinds: this.#kinds(),
    };
  }

  #kinds(): KindStat[] {
    return eventNames
      .map((kind, code) => ({ kind: kind ?? String(code), count: this.#counts[code]!, bytes: this.#bytes[code]! }))
      .filter((stat) => stat.count > 0)
      .sort((a, b) => b.bytes - a.bytes || b.count - a.count);
  }
}

/** The statistics of a whole log. */
export async function statLog(segments: AsyncIterable<Segment>, start: LogStart = {}): Promise<LogStat> {
  const statistics = new LogStatistics(start);
  for await (const segment of segments) statistics.add(segment);
  return statistics.result();
}
