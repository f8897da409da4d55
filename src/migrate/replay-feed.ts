// A recording's log into a playing tracer, with its backpressure.
// Invariant: segments are fed whole and in order; a log that was cut short (its writer died) is closed by an empty final
// segment, so that the replay ends exactly where what is known ends.
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { TrmigError } from '../errors.js';
import { encodeTracerFrame, sealSegment, type RecordingReader, type Segment } from '../log/index.js';
import { icount } from '../units.js';

export interface FedLog {
  readonly segments: number;
  readonly events: number;
  readonly rawBytes: number;
  readonly end: number;
}

export class ReplayFeed {
  #fed = { segments: 0, events: 0, rawBytes: 0, end: 0 };
  #first: Segment | null = null;
  #last: Segment | null = null;

  constructor(
    private readonly reader: RecordingReader,
    private readonly stream: Socket,
  ) {}

  get fed(): FedLog {
    return this.#fed;
  }

  /**
   * Host time that the recording took until the guest's clock said `virtualNs`, as near as the segments tell: before the
   * first was cut, and within the last, only the guest's clock is known.
   */
  recordedNs(virtualNs: number): number {
    const [first, last] = [this.#first, this.#last];
    if (first === null || last === null) return 0;
    const beforeNs = Math.max(0, first.virtualNs - this.reader.manifest.virtualNs);
    return Math.max(0, beforeNs + last.hostNs - first.hostNs - Math.max(0, last.virtualNs - virtualNs));
  }

  /**
   * Feeds segments until the log's end, or until one ends beyond `until`.
   * @throws TrmigError E_RECORDING_*, E_ABORTED, E_TRACER_CLOSED when the tracer does not take more
   */
  async run(options: { until: number | null; follow: boolean; signal: AbortSignal }): Promise<void> {
    const { until, follow, signal } = options;
    for await (const segment of this.reader.segments({ follow, signal })) {
      await this.#write(segment);
      this.#first ??= segment;
      if (segment.final || (until !== null && segment.to > until)) return;
    }
    const { segments, end } = this.#fed;
    await this.#write(sealSegment({ seq: segments, from: icount(end), payload: Buffer.alloc(0), final: true }));
  }

  async #write(segment: Segment): Promise<void> {
    if (this.stream.destroyed) throw new TrmigError('E_TRACER_CLOSED', 'the tracer closed the log that it replays');
    if (!this.stream.write(encodeTracerFrame(segment))) {
      const over = new AbortController();
      const { signal } = over;
      const ignore = (): void => undefined;
      await Promise.race([
        once(this.stream, 'drain', { signal }).catch(ignore),
        once(this.stream, 'close', { signal }).catch(ignore),
      ]);
      over.abort();
    }
    if (segment.payload.length > 0 || !segment.final) this.#last = segment;
    const { segments, events, rawBytes } = this.#fed;
    this.#fed = {
      segments: segments + 1,
      events: events + segment.events,
      rawBytes: rawBytes + segment.payload.length,
      end: segment.to,
    };
  }
}
