// The destination's end of the log: segment frames in, tracer frames out.
// Invariants: segments are decoded in the order of their arrival, since the decoder's context follows the encoder's; what
// comes before the replay begins is kept encoded and bounded; the tracer's stream is written with its backpressure.

import { once } from 'node:events';
import type { Socket } from 'node:net';
import { TrmigError } from '../errors.js';
import { logSpoolBytesMax } from '../limits.js';
import { WireDecoder, encodeTracerFrame } from '../log/index.js';
import type { LogFrame, SegmentFrame } from '../wire/frames.js';
import type { LogWindow } from './log-window.js';
import { frameSegment } from './segment-frames.js';

export class LogFeed {
  readonly #decoder = new WireDecoder();
  readonly #waiting: (SegmentFrame | LogFrame)[] = [];
  #waitingBytes = 0;
  #stream: Socket | null = null;
  #writing = false;
  #failed: ((error: unknown) => void) | null = null;
  /** performance.now() when the final segment came in; null before. */
  finalAtMs: number | null = null;

  /** `window` gets each segment that is handed to the replay. */
  constructor(private readonly window: LogWindow) {}

  /**
   * Takes a segment from the link.
   * @throws TrmigError E_LOG_SPOOL when more waits for the base image than this host keeps.
   */
  take(frame: SegmentFrame | LogFrame): void {
    if (frame.kind === 'segment' && frame.final) this.finalAtMs = performance.now();
    this.#waiting.push(frame);
    this.#waitingBytes += frame.bytes.length;
    if (this.#waitingBytes > logSpoolBytesMax) {
      throw new TrmigError(
        'E_LOG_SPOOL',
        `the log outgrew ${logSpoolBytesMax} bytes before the base image was in place`,
        {
          facts: { bytesMax: logSpoolBytesMax },
        },
      );
    }
    void this.#write();
  }

  /** The replay begins: segments flow into `stream` from here on. `failed` learns of what goes wrong. */
  begin(stream: Socket, failed: (error: unknown) => void): void {
    this.#stream = stream;
    this.#failed = failed;
    void this.#write();
  }

  end(): void {
    this.#stream?.destroy();
    this.#stream = null;
    this.#waiting.length = 0;
  }

  async #write(): Promise<void> {
    if (this.#writing) return;
    this.#writing = true;
    try {
      for (let next = this.#next(); next !== null; next = this.#next()) {
        const segment = frameSegment(this.#decoder, next.frame);
        this.window.take(segment);
        if (!next.stream.write(encodeTracerFrame(segment))) await drained(next.stream);
      }
    } catch (error) {
      this.#failed?.(error);
    } finally {
      this.#writing = false;
    }
  }

  /** The next segment and where it goes; null when there is none, or nowhere to go. */
  #next(): { readonly frame: SegmentFrame | LogFrame; readonly stream: Socket } | null {
    const frame = this.#stream === null ? undefined : this.#waiting.shift();
    if (frame === undefined || this.#stream === null) return null;
    this.#waitingBytes -= frame.bytes.length;
    return { frame, stream: this.#stream };
  }
}

/** Resolves when the stream takes more, or has ended. */
async function drained(stream: Socket): Promise<void> {
  if (stream.destroyed) return;
  const controller = new AbortController();
  await Promise.race([
    once(stream, 'drain', { signal: controller.signal }).catch(() => undefined),
    once(stream, 'close', { signal: controller.signal }).catch(() => undefined),
  ]);
  controller.abort();
}
