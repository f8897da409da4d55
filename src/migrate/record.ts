// A running machine into a recording: armed with a checkpoint, its frozen RAM written while it runs, its log appended as it
// comes, disarmed at the end.
// Invariants: those of log-recorder.ts; a recording without a whole base leaves nothing behind.

import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { TrmigError } from '../errors.js';
import { captureImage, writeImage, type CaptureProgress, type ImageSummary } from '../checkpoint/index.js';
import { probeMs, progressTickMs } from '../limits.js';
import { RecordingWriter, type RecordingFacts, type WriterOptions } from '../log/index.js';
import { chooseShift, formatSpec, type ArmCheckpointReply, type Machine, type TracerHello } from '../machine/index.js';
import { DepartingDisks } from './departing-disks.js';
import { beginGivingUp, type GiveUp } from './give-up.js';
import { legId } from './leg.js';
import { LogPump } from './log-pump.js';
import { LogRecorder, recordingSegments } from './log-recorder.js';
import { saveDisks, settleDisks } from './recorded-disks.js';
import { devicePart, discardFolder, imagePart, prepareFolder, writePart } from './recording-folder.js';

export interface RecordOptions {
  /** Ends the recording in order; before its base is whole it cancels it, and nothing is left. */
  readonly signal?: AbortSignal;
  /** How long to record, from the checkpoint on. null: until the signal. 0: no longer than the base takes. */
  readonly durationMs: number | null;
  /** At the end the machine stops here for good: whoever has the recording may take it over. */
  readonly giveUp?: boolean;
  readonly onProgress?: (progress: RecordProgress) => void;
  /** A test's door to failing disks. */
  readonly writer?: WriterOptions;
}

export interface RecordProgress {
  readonly phase: 'base' | 'log';
  /** Since the checkpoint. */
  readonly elapsedMs: number;
  /** Guest RAM read, and in all. */
  readonly baseBytes: number;
  readonly baseBytesTotal: number;
  readonly events: number;
  readonly rawBytes: number;
  readonly icount: number;
}

export interface RecordResult {
  readonly machine: string;
  readonly dir: string;
  readonly uuid: string;
  /** duration, interrupted, checkpoint (no longer than the base took), given-up. */
  readonly reason: string;
  readonly shift: number;
  readonly elapsedMs: number;
  readonly endIcount: number;
  /** The guest's clock since the checkpoint. */
  readonly guestMs: number;
  readonly log: { readonly segments: number; readonly events: number; readonly rawBytes: number };
  readonly image: {
    readonly rawBytes: number;
    readonly fileBytes: number;
    readonly chunks: number;
    readonly digest: string;
  };
  /** Pauses of the guest, measured in the tracer. */
  readonly pauses: { readonly armMs: number; readonly endMs: number };
}

/**
 * Records a running machine into `dir`.
 * @throws TrmigError E_BUSY, E_RECORDING_EXISTS before anything is done to the machine; E_ABORTED when it is cancelled before
 *   the base is whole; E_DISK_FULL, E_FILE_ACCESS, E_LOG_LOST, E_MACHINE_GONE: the facts say whether a recording is there
 */
export async function recordMachine(machine: Machine, dir: string, options: RecordOptions): Promise<RecordResult> {
  const hello = await machine.tracer.hello();
  if (hello.mode !== 'dormant' || !hello.running) {
    const state = hello.mode === 'dormant' ? 'stopped' : hello.mode;
    throw new TrmigError('E_BUSY', `'${machine.name}' is ${state}: it cannot be recorded now`, {
      hint: `Look at it with: trmig status ${machine.name}`,
      facts: { name: machine.name, state },
    });
  }
  return new Recorder(machine, dir, options).conduct(hello);
}

class Recorder {
  readonly #uuid = randomUUID();
  #base: CaptureProgress | null = null;
  #pump!: LogPump;
  #log!: LogRecorder;
  #writer: RecordingWriter | null = null;

  constructor(
    readonly machine: Machine,
    readonly dir: string,
    readonly options: RecordOptions,
  ) {}

  async conduct(hello: TracerHello): Promise<RecordResult> {
    const { tracer, spec } = this.machine;
    const folder = await prepareFolder(this.dir);
    let giveUp: GiveUp | null = null;
    let armed: ArmCheckpointReply;
    try {
      if (this.options.giveUp === true) giveUp = await beginGivingUp(this.machine, legId(this.#uuid, 0), this.dir);
      this.#refuseAborted();
      await tracer.collapse();
      const shift = typeof spec.shift === 'number' ? spec.shift : chooseShift(await tracer.probe(probeMs));
      const disks = await DepartingDisks.open(this.machine, this.options.signal);
      this.#pump = await LogPump.open(tracer);
      const arming = { shift, stream: this.#pump.name, ...recordingSegments, checkpoint: true } as const;
      armed = await disks.freeze(() => tracer.arm(arming));
    } catch (thrown) {
      await giveUp?.cancel();
      await discardFolder(folder);
      throw thrown;
    }
    this.#log = new LogRecorder(this.machine, this.#pump);
    const tick = setInterval(() => this.options.onProgress?.(this.#progress()), progressTickMs);
    try {
      const image = await this.#record(hello, armed).catch(async (thrown: unknown) => {
        const cause = this.#log.failed.aborted ? (this.#log.failed.reason as Error) : thrown;
        await this.#log.disarm();
        await this.#writer?.abort();
        await discardFolder(folder);
        throw cause;
      });
      return await this.#end(armed, image, giveUp);
    } catch (thrown) {
      await giveUp?.cancel();
      throw thrown;
    } finally {
      clearInterval(tick);
      this.#log.close();
      await settleDisks(this.machine);
      await folder.release();
    }
  }

  /** The base, while the log comes in. When it throws there is no recording. */
  async #record(hello: TracerHello, armed: ArmCheckpointReply): Promise<ImageSummary> {
    const { frozen } = armed;
    const { signal } = this.options;
    const cancelled = AbortSignal.any([this.#log.failed, ...(signal ? [signal] : [])]);
    try {
      const writer = await RecordingWriter.create(this.dir, this.#facts(hello, armed), this.options.writer);
      this.#writer = writer;
      this.#log.begin(writer);
      await writePart(this.dir, devicePart, armed.deviceState);
      await writer.addPart(devicePart, 'device-state');
      const chunks = captureImage(frozen, { signal: cancelled, onProgress: (progress) => (this.#base = progress) });
      const blocks = frozen.blocks.map(({ name, bytes }) => ({ name, bytes }));
      const image = await writeImage(join(this.dir, imagePart), blocks, chunks);
      await writer.addPart(imagePart, 'ram-image', { signal: cancelled });
      await saveDisks(this.machine, writer, cancelled);
      return image;
    } finally {
      await this.machine.tracer.thaw(frozen.pid).catch(() => undefined);
    }
  }

  #facts(hello: TracerHello, armed: ArmCheckpointReply): RecordingFacts {
    return {
      uuid: this.#uuid,
      machine: this.machine.name,
      spec: formatSpec(this.machine.spec),
      qemu: hello.qemu,
      target: hello.target,
      shift: armed.shift,
      createdMs: Date.now(),
      virtualNs: armed.virtualNs,
      registers: null,
      devices: null,
      blocks: armed.frozen.blocks.map(({ name, bytes, pageBytes }) => ({ name, bytes, pageBytes })),
    };
  }

  /** The base is whole: waits for the end, then closes log and manifest. */
  async #end(armed: ArmCheckpointReply, image: ImageSummary, giveUp: GiveUp | null): Promise<RecordResult> {
    const { signal, durationMs } = this.options;
    const { reason, endMs } = await this.#log.end(durationMs, signal, giveUp);
    const { icount, virtualNs, segments, events, rawBytes } = this.#pump.log;
    return {
      machine: this.machine.name,
      dir: this.dir,
      uuid: this.#uuid,
      reason,
      shift: armed.shift,
      elapsedMs: this.#log.elapsedMs,
      endIcount: icount,
      guestMs: (virtualNs - armed.virtualNs) / 1e6,
      log: { segments, events, rawBytes },
      image: { rawBytes: image.rawBytes, fileBytes: image.fileBytes, chunks: image.chunks, digest: image.digest },
      pauses: { armMs: armed.pauses.totalNs / 1e6, endMs },
    };
  }

  #progress(): RecordProgress {
    const { events, rawBytes, icount } = this.#pump.log;
    const [baseBytes, baseBytesTotal] = [this.#base?.scannedBytes ?? 0, this.#base?.totalBytes ?? 0];
    const phase = baseBytesTotal === 0 || baseBytes < baseBytesTotal ? 'base' : 'log';
    return { phase, elapsedMs: this.#log.elapsedMs, baseBytes, baseBytesTotal, events, rawBytes, icount };
  }

  #refuseAborted(): void {
    if (this.options.signal?.aborted === true) throw new TrmigError('E_ABORTED', 'the recording was cancelled');
  }
}
