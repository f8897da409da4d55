// A machine that was taken over is recorded on, into the recording it came from: no new checkpoint, the log goes on where it
// ended. The recording stays one: whoever has its beginning needs only what comes after it (ship.ts).
//
// The order, since the recording says meanwhile that it may be taken over: this host's journal says owner → the manifest says
// that it grows again → the guest runs. A recording that cannot be written does not hold the guest up: it then goes live
// dormant, and the error is told afterwards.
import { TrmigError, asTrmigError } from '../errors.js';
import { progressTickMs } from '../limits.js';
import { RecordingWriter } from '../log/index.js';
import type { LiveReply, Machine } from '../machine/index.js';
import { beginGivingUp, type GiveUp } from './give-up.js';
import { legId } from './leg.js';
import { LogPump } from './log-pump.js';
import { LogRecorder, recordingSegments } from './log-recorder.js';
import { lockFolder, type RecordingFolder } from './recording-folder.js';
import type { LiveKind } from './take-over.js';

export interface ContinueOptions {
  /** How long, from going live on. null: until the signal. */
  readonly durationMs: number | null;
  /** At the end the machine stops here for good: whoever has the recording may take it over. */
  readonly giveUp?: boolean;
  readonly onProgress?: (progress: ContinueProgress) => void;
}

export interface ContinueProgress {
  /** Since it went live. */
  readonly elapsedMs: number;
  readonly events: number;
  readonly rawBytes: number;
  readonly icount: number;
}

/** What one host has added to a recording. */
export interface RecordedLeg {
  readonly dir: string;
  readonly uuid: string;
  /** Its first segment. */
  readonly from: number;
  /** duration, interrupted, given-up. */
  readonly reason: string;
  readonly elapsedMs: number;
  readonly endIcount: number;
  readonly log: { readonly segments: number; readonly events: number; readonly rawBytes: number };
  /** Of the guest, measured in the tracer. */
  readonly pauses: { readonly endMs: number };
}

/**
 * Makes sure, before anything is started, that the recording in `dir` can be gone on with.
 * @throws TrmigError E_USAGE, E_RECORDING_*, E_FILE_ACCESS
 */
export async function beginContinuation(dir: string, live: LiveKind | undefined): Promise<Continuation> {
  if (live !== 'take-over') {
    throw new TrmigError('E_USAGE', 'only a machine that is taken over goes on in its recording', {
      hint: 'Add --live; a copy is a new machine: record it with `trmig checkpoint`.',
    });
  }
  const folder = await lockFolder(dir);
  try {
    return new Continuation(folder, await RecordingWriter.resume(dir));
  } catch (thrown) {
    await folder.release();
    throw thrown;
  }
}

export class Continuation {
  readonly #from: number;
  #failure: TrmigError | null = null;
  #pump: LogPump | null = null;
  #log: LogRecorder | null = null;

  constructor(
    private readonly folder: RecordingFolder,
    private readonly writer: RecordingWriter,
  ) {
    this.#from = writer.segments;
  }

  /** This host owns the machine: it goes on, recorded if that can be. @throws TrmigError E_TRACER_* */
  async live(machine: Machine): Promise<LiveReply> {
    const { tracer } = machine;
    try {
      await this.writer.reopen();
      this.#pump = await LogPump.open(tracer);
    } catch (thrown) {
      this.#failure = asTrmigError(thrown);
      return tracer.live();
    }
    const reply = await tracer.live({ stream: this.#pump.name, ...recordingSegments });
    this.#log = new LogRecorder(machine, this.#pump);
    this.#log.begin(this.writer);
    return reply;
  }

  /**
   * Records until the end that was asked for. However that goes, the machine is this host's.
   * @throws TrmigError as LogRecorder.end, and what kept it from being recorded
   */
  async record(machine: Machine, options: ContinueOptions & { readonly signal?: AbortSignal }): Promise<RecordedLeg> {
    const [pump, log] = [this.#pump, this.#log];
    if (pump === null || log === null) throw this.#failure ?? new TrmigError('E_INTERNAL', 'it has not gone live');
    const { dir, manifest } = this.writer;
    const tick = setInterval(() => {
      const { events, rawBytes, icount } = pump.log;
      options.onProgress?.({ elapsedMs: log.elapsedMs, events, rawBytes, icount });
    }, progressTickMs);
    let giveUp: GiveUp | null = null;
    try {
      if (options.giveUp === true) {
        const leg = legId(manifest.uuid, this.#from);
        giveUp = await beginGivingUp(machine, leg, dir).catch((thrown: unknown) => log.keepPrefix(thrown));
      }
      const { reason, endMs } = await log.end(options.durationMs, options.signal, giveUp);
      const { icount, segments, events, rawBytes } = pump.log;
      return {
        dir,
        uuid: manifest.uuid,
        from: this.#from,
        reason,
        elapsedMs: log.elapsedMs,
        endIcount: icount,
        log: { segments, events, rawBytes },
        pauses: { endMs },
      };
    } catch (thrown) {
      await giveUp?.cancel();
      throw thrown;
    } finally {
      clearInterval(tick);
    }
  }

  async close(): Promise<void> {
    this.#log?.close();
    await this.folder.release();
  }
}
