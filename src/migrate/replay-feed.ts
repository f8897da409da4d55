// A recording's log into a playing tracer, with its backpressure.
// Invariants: segments are fed whole and in order; a log that was cut short (its writer died) is closed by an empty final
// segment, so that the replay ends exactly where what is known ends; a final segment is fed when it is known whether others
// follow it (leg.ts), because the tracer stops there and its client must know what to do.
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
  #joins = 0;
  /** Of the legs before the one that is being fed. */
  #recordedNs = 0;
  /** Where the leg begins that is being fed. */
  #fromVirtualNs: number;
  #first: Segment | null = null;
  #last: Segment | null = null;

  constructor(
    private readonly reader: RecordingReader,
    private readonly stream: Socket,
  ) {
    this.#fromVirtualNs = reader.manifest.virtualNs;
  }

  get fed(): FedLog {
    return this.#fed;
  }

  /** Final segments that others follow, among those that were fed. */
  get joins(): number {
    return this.#joins;
  }

  /**
   * Host time that the recording took until the guest's clock said `virtualNs`, as near as the segments tell: before a leg's
   * first was cut, and within the last, only the guest's clock is known.
   */
  recordedNs(virtualNs: number): number {
    const [first, last] = [this.#first, this.#last];
    if (first === null || last === null) return this.#recordedNs;
    const beforeNs = Math.max(0, first.virtualNs - this.#fromVirtualNs);
    const legNs = Math.max(0, beforeNs + last.hostNs - first.hostNs - Math.max(0, last.virtualNs - virtualNs));
    return this.#recordedNs + legNs;
  }

  /**
   * Feeds segments until the log's end, or until one ends beyond `until`.
   * @throws TrmigError E_RECORDING_*, E_ABORTED, E_TRACER_CLOSED when the tracer does not take more
   */
  async run(options: { until: number | null; follow: boolean; signal: AbortSignal }): Promise<void> {
    const { until, follow, signal } = options;
    let held: Segment | null = null;
    for await (const segment of this.reader.segments({ follow, signal })) {
      if (held !== null) {
        this.#joins += 1;
        await this.#write(held);
        this.#beginLeg(held);
      }
      held = segment.final ? segment : null;
      if (held === null) await this.#write(segment);
      if (until !== null && segment.to > until) {
        if (held !== null) await this.#write(held);
        return;
      }
    }
    const { segments, end } = this.#fed;
    await this.#write(held ?? sealSegment({ seq: segments, from: icount(end), payload: Buffer.alloc(0), final: true }));
  }

  #beginLeg({ virtualNs }: Segment): void {
    this.#recordedNs = this.recordedNs(virtualNs);
    this.#fromVirtualNs = virtualNs;
    this.#first = this.#last = null;
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
    if (segment.payload.length > 0 || !segment.final) {
      this.#first ??= segment;
      this.#last = segment;
    }
    const { segments, events, rawBytes } = this.#fed;
    this.#fed = {
      segments: segments + 1,
      events: events + segment.events,
      rawBytes: rawBytes + segment.payload.length,
      end: segment.to,
    };
  }
}
