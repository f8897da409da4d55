// The source's end of the log: the tracer's stream in, segments out, one at a time and in order.
// Invariant: a segment is counted when it has been handed on; backpressure reaches the tracer's ring, never the guest.

import type { Socket } from 'node:net';
import { TrmigError } from '../errors.js';
import { TracerFrameDecoder, type Segment } from '../log/index.js';
import type { TracerClient } from '../machine/index.js';

const streamName = 'log';

/** What has been read so far. Instructions and times are of the last segment's end. */
export interface PumpedLog {
  readonly rawBytes: number;
  readonly events: number;
  readonly segments: number;
  readonly icount: number;
  readonly virtualNs: number;
  readonly hostNs: number;
}

export class LogPump {
  #log: PumpedLog = { rawBytes: 0, events: 0, segments: 0, icount: 0, virtualNs: 0, hostNs: 0 };
  private constructor(
    /** The stream's name, for `arm`. */
    readonly name: string,
    private readonly stream: Socket,
  ) {}

  /** Attaches a stream to the tracer. @throws E_TRACER_* */
  static async open(tracer: TracerClient, options: { signal?: AbortSignal } = {}): Promise<LogPump> {
    return new LogPump(streamName, await tracer.openStream(streamName, options));
  }

  get log(): PumpedLog {
    return this.#log;
  }

  /**
   * Reads until the final segment has been handed on.
   * @throws TrmigError E_LOG_LOST when the stream ends before it, E_TRACER_FRAME, and what `take` throws.
   */
  async run(take: (segment: Segment) => Promise<void>): Promise<void> {
    const decoder = new TracerFrameDecoder();
    for await (const chunk of this.stream as AsyncIterable<Buffer>) {
      for (const segment of decoder.push(chunk)) {
        await take(segment);
        this.#log = {
          rawBytes: this.#log.rawBytes + segment.payload.length,
          events: this.#log.events + segment.events,
          segments: this.#log.segments + 1,
          icount: segment.to,
          virtualNs: segment.virtualNs,
          hostNs: segment.hostNs,
        };
        if (segment.final) return;
      }
    }
    decoder.end();
    throw new TrmigError('E_LOG_LOST', 'the tracer closed the log before its final segment');
  }

  close(): void {
    this.stream.destroy();
  }
}
