// A recording held in memory, for tests of the tracer itself: everything goes through TracerClient and raw streams, so that
// a frame can be damaged on its way and a replay stopped anywhere.
import type net from 'node:net';
import type { Test } from 'tap';
import { captureImage, restoreImage, type ImageChunk } from '../../src/checkpoint/index.js';
import { tracerHeaderBytes } from '../../src/log/index.js';
import {
  Machine,
  type DigestRamReply,
  type FinishReply,
  type Home,
  type MachineSpec,
  type TracerEvent,
} from '../../src/machine/index.js';
import { icount, type Icount } from '../../src/units.js';

/** The log as it comes out of a tracer: frames, kept as they are. */
export class Tape {
  readonly frames: Buffer[] = [];
  /** Resolves when the stream has ended. */
  readonly ended: Promise<void>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(readonly stream: net.Socket) {
    stream.on('data', (chunk: Buffer) => this.#take(chunk));
    this.ended = new Promise((resolve) => stream.once('close', () => resolve()));
  }

  #take(chunk: Buffer): void {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= tracerHeaderBytes) {
      const bytes = tracerHeaderBytes + this.#rest.readUInt32LE(8);
      if (this.#rest.length < bytes) return;
      this.frames.push(Buffer.from(this.#rest.subarray(0, bytes)));
      this.#rest = this.#rest.subarray(bytes);
    }
  }

  get bytes(): number {
    return this.frames.reduce((sum, { length }) => sum + length, 0);
  }
}

/** Fields of a frame, as docs/tracer-protocol.md places them. */
export const frameFields = {
  flagsAt: 6,
  canaryAt: 40,
  to: (frame: Buffer): number => Number(frame.readBigUInt64LE(32)),
  from: (frame: Buffer): number => Number(frame.readBigUInt64LE(24)),
  virtualNs: (frame: Buffer): number => Number(frame.readBigUInt64LE(48)),
  hostNs: (frame: Buffer): number => Number(frame.readBigUInt64LE(56)),
  isFinal: (frame: Buffer): boolean => (frame.readUInt16LE(6) & 2) !== 0,
} as const;

export interface Recorded {
  readonly spec: MachineSpec;
  readonly shift: number;
  readonly deviceState: Uint8Array;
  readonly chunks: readonly ImageChunk[];
  readonly frames: readonly Buffer[];
  readonly finish: FinishReply;
  /** Of the stopped guest, at the log's last instruction. */
  readonly digest: DigestRamReply;
  /** Guest time from the checkpoint to the log's end. */
  readonly virtualNs: number;
}

const segments = { segmentMs: 20, segmentBytes: 1 << 20 };

/** Arms without a checkpoint and disarms; returns the log. */
export async function armAndDisarm(machine: Machine, shift: number, ms: number): Promise<Tape> {
  const { tracer } = machine;
  const tape = new Tape(await tracer.openStream('log'));
  await tracer.arm({ shift, stream: 'log', ...segments, checkpoint: false });
  await new Promise((resolve) => setTimeout(resolve, ms));
  await tracer.disarm();
  await tape.ended;
  return tape;
}

/** Records for so many ms, or until that has come, from a checkpoint on; the guest goes on afterwards. */
export async function record(machine: Machine, shift: number, until: number | Promise<void>): Promise<Recorded> {
  const { tracer, spec } = machine;
  const tape = new Tape(await tracer.openStream('log'));
  const armed = await tracer.arm({ shift, stream: 'log', ...segments, checkpoint: true });
  const chunks: ImageChunk[] = [];
  const recorded = typeof until === 'number' ? new Promise((resolve) => setTimeout(resolve, until)) : until;
  for await (const chunk of captureImage(armed.frozen)) chunks.push(chunk);
  await tracer.thaw(armed.frozen.pid);
  await recorded;
  const finish = await tracer.finish(60_000);
  const digest = await tracer.digest({ ram: true });
  await tracer.resume();
  await tape.ended;
  const virtualNs = finish.virtualNs - armed.virtualNs;
  return { spec, shift, deviceState: armed.deviceState, chunks, frames: tape.frames, finish, digest, virtualNs };
}

export type Stopped = Extract<TracerEvent, { event: 'reached' | 'diverged' }>;

/** A QEMU that replays a recording. */
export class Replay {
  private constructor(
    readonly machine: Machine,
    readonly stream: net.Socket,
  ) {}

  /** Starts a QEMU on `home`, restores the checkpoint and begins to replay. Nothing has been fed to it. */
  static async begin(t: Test, home: Home, recorded: Recorded, until?: Icount): Promise<Replay> {
    const machine = await Machine.start(recorded.spec, { home, paused: true });
    t.teardown(() => machine.stop({ graceful: false }));
    const { tracer } = machine;
    const { pid, blocks } = await tracer.hello();

    const image = async function* (): AsyncGenerator<ImageChunk> {
      yield* recorded.chunks;
    };
    await restoreImage({ pid, blocks }, image());
    const { shift, deviceState } = recorded;
    await tracer.restore({ shift, deviceState });
    const stream = await tracer.openStream('log');
    await tracer.play({ stream: 'log', ...(until !== undefined && { until }) });
    return new Replay(machine, stream);
  }

  /** Feeds frames and says where and why the replay stopped. */
  async play(frames: readonly Buffer[]): Promise<Stopped> {
    const stopped = this.stopped();
    for (const frame of frames) {
      if (!this.stream.write(frame)) await drained(this.stream);
    }
    return stopped;
  }

  async continue(until?: number): Promise<Stopped> {
    const stopped = this.stopped();
    await this.machine.tracer.continue(until === undefined ? {} : { until: icount(until) });
    return stopped;
  }

  stopped(): Promise<Stopped> {
    return this.machine.tracer.events.next(['reached', 'diverged']);
  }
}

/** Resolves when it takes more, or will never. */
function drained(stream: net.Socket): Promise<void> {
  if (stream.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      stream.off('drain', done).off('close', done);
      resolve();
    };
    stream.on('drain', done).on('close', done);
  });
}
