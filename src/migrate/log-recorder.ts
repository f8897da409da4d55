// The log of an armed machine into its recording, from arming to the end that was asked for.
// Invariants: however it ends, the machine goes on here, dormant, unless it was given up on purpose (give-up.ts); what was
// recorded is kept up to the last whole segment, even when the disk is full.
import { TrmigError, asTrmigError } from '../errors.js';
import { recordSyncMs, segmentBytesRecording, segmentMsRecording } from '../limits.js';
import type { RecordingWriter } from '../log/index.js';
import type { Machine } from '../machine/index.js';
import { givenUp, type GiveUp } from './give-up.js';
import type { LogPump } from './log-pump.js';

export interface RecordingEnd {
  /** duration, interrupted, checkpoint (no longer than the base took), given-up. */
  readonly reason: string;
  /** The guest's pause, measured in the tracer. */
  readonly endMs: number;
}

/** How a recording's log is cut, for `arm` and `live`. */
export const recordingSegments = { segmentMs: segmentMsRecording, segmentBytes: segmentBytesRecording } as const;

export class LogRecorder {
  readonly #failed = new AbortController();
  readonly #armedAtMs = performance.now();
  readonly #stops: (() => void)[] = [];
  #writer: RecordingWriter | null = null;
  #logged: Promise<void> = Promise.resolve();

  /** Begins to watch the machine, which has just been armed with the pump's stream. Call `close` at last. */
  constructor(
    private readonly machine: Machine,
    private readonly pump: LogPump,
  ) {
    const { tracer } = machine;
    const fail = (error: TrmigError): void => this.#failed.abort(error);
    const sync = setInterval(() => {
      this.#writer?.sync().catch((error: unknown) => this.#failed.abort(error));
    }, recordSyncMs);
    this.#stops = [
      () => clearInterval(sync),
      tracer.onClose((reason) =>
        fail(new TrmigError('E_MACHINE_GONE', `the machine is gone: ${reason.message}`, { cause: reason })),
      ),
      tracer.events.on('lost', ({ reason }) => fail(new TrmigError('E_LOG_LOST', `the log was lost: ${reason}`))),
    ];
  }

  /** Aborted with what went wrong beside the main line: the log, the machine, a sync. */
  get failed(): AbortSignal {
    return this.#failed.signal;
  }

  get elapsedMs(): number {
    return performance.now() - this.#armedAtMs;
  }

  /** From here on the log goes into the recording. */
  begin(writer: RecordingWriter): void {
    this.#writer = writer;
    this.#logged = this.pump.run((segment) => writer.append(segment));
    this.#logged.catch((error: unknown) => this.#failed.abort(error));
  }

  /**
   * Waits for the end (null: until the signal; ms since arming), then closes log and manifest.
   * @throws TrmigError E_DISK_FULL, E_FILE_ACCESS, E_LOG_LOST, E_MACHINE_GONE, after the recording's prefix was completed
   */
  async end(durationMs: number | null, signal: AbortSignal | undefined, giveUp: GiveUp | null): Promise<RecordingEnd> {
    const writer = this.#writer!;
    const reason = await this.#untilEnd(durationMs, signal).catch((thrown: unknown) => this.keepPrefix(thrown));
    try {
      if (giveUp !== null) return { reason: givenUp, endMs: await giveUp.finish(this.#logged, writer) };
      const { pauses } = await this.machine.tracer.disarm();
      await this.#logged;
      await writer.complete(reason);
      return { reason, endMs: pauses.totalNs / 1e6 };
    } catch (thrown) {
      return await this.keepPrefix(this.failed.aborted ? this.failed.reason : thrown);
    }
  }

  /** Something failed while there is a base: the machine goes on, and what was recorded stays usable. */
  async keepPrefix(thrown: unknown): Promise<never> {
    const error = asTrmigError(thrown);
    await this.disarm();
    const writer = this.#writer!;
    // A disk that is full may still take the manifest; if not, the recording is as after a crash: whole up to its last segment.
    await writer.complete(error.code).catch(() => writer.abort());
    throw new TrmigError(error.code, error.message, {
      cause: error,
      hint: `${error.hint} What was recorded before is usable: trmig verify ${writer.dir}`,
      facts: { ...error.facts, recording: writer.dir, segments: writer.segments },
    });
  }

  /** Back to dormant, whatever state log and machine are in. */
  async disarm(): Promise<void> {
    // Nobody reads the log any more: it must not hold the tracer up.
    this.pump.close();
    await this.#logged.catch(() => undefined);
    const { tracer } = this.machine;
    const status = await tracer.status().catch(() => null);
    if (status?.mode === 'armed') await tracer.disarm().catch(() => undefined);
  }

  close(): void {
    this.#stops.forEach((stop) => stop());
    this.pump.close();
  }

  async #untilEnd(durationMs: number | null, signal: AbortSignal | undefined): Promise<string> {
    const leftMs = durationMs === null ? null : durationMs - this.elapsedMs;
    return new Promise((resolve, reject) => {
      const timer =
        leftMs === null ? null : setTimeout(() => resolve(durationMs === 0 ? 'checkpoint' : 'duration'), leftMs);
      const done = (settle: () => void) => (): void => {
        if (timer !== null) clearTimeout(timer);
        settle();
      };
      const failed = done(() => reject(this.failed.reason as Error));
      const interrupted = done(() => resolve('interrupted'));
      this.failed.addEventListener('abort', failed, { once: true });
      signal?.addEventListener('abort', interrupted, { once: true });
      if (this.failed.aborted) failed();
      else if (signal?.aborted === true) interrupted();
    });
  }
}
