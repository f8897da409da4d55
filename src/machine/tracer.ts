// The tracer's only client: docs/tracer-protocol.md as typed methods. It adds nothing to what the tracer does: policy
// (when to arm, how to pace, who owns the guest) belongs to its callers.
//
// Invariants:
// - Every reply and event fits its schema before a caller sees it; one that does not ends the connection.
// - A timeout or an abort of a command that changes something leaves its effect unknown: ask `status`.
// - Closing this client never changes the guest; a stop it made goes on until its lease runs out.
import type net from 'node:net';
import { z } from 'zod';
import { TrmigError, type ErrorCode } from '../errors.js';
import { controlConnectMsMax } from '../limits.js';
import type { Icount } from '../units.js';
import { ControlChannel, connectUnix, parseMessage, type ControlDialect, type RequestOptions } from './control.js';
import { FirstLineTimeout, firstLine } from './first-line.js';
import { TracerEvents } from './tracer-events.js';
import * as replies from './tracer-replies.js';

const refusals: Readonly<Record<string, ErrorCode>> = {
  BadRequest: 'E_TRACER_BAD_REQUEST',
  UnknownCommand: 'E_TRACER_UNKNOWN_COMMAND',
  WrongMode: 'E_TRACER_WRONG_MODE',
  NotStopped: 'E_TRACER_NOT_STOPPED',
  NoStream: 'E_TRACER_NO_STREAM',
  Failed: 'E_TRACER_FAILED',
};

const dialect: ControlDialect = {
  peer: 'the tracer',
  closed: 'E_TRACER_CLOSED',
  timeout: 'E_TRACER_TIMEOUT',
  protocol: 'E_TRACER_PROTOCOL',
  refused: (errorClass) => (Object.hasOwn(refusals, errorClass) ? refusals[errorClass]! : 'E_TRACER_FAILED'),
};

export interface TracerConnectOptions {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
}

export interface LogArguments {
  /** The name of the stream (see `openStream`) that takes the log. */
  readonly stream: string;
  /** A segment is cut when it is this old or this large, whichever is first. */
  readonly segmentMs: number;
  readonly segmentBytes: number;
}

export interface ArmArguments extends LogArguments {
  /** log2 of the guest nanoseconds that one instruction takes, 0…10. */
  readonly shift: number;
  /** Whether to save the device state and freeze RAM in the same stopped instant. */
  readonly checkpoint: boolean;
}

/** A control connection to one tracer. Any number may be open at a time; each sees all events. */
export class TracerClient {
  /** The tracer's events. */
  readonly events: TracerEvents;

  private constructor(
    /** The socket's path; streams are opened on the same one. */
    readonly path: string,
    private readonly channel: ControlChannel,
  ) {
    this.events = new TracerEvents(channel);
  }

  /** @throws E_TRACER_CONNECT, E_ABORTED */
  static async connect(path: string, options: TracerConnectOptions = {}): Promise<TracerClient> {
    const timeoutMs = options.timeoutMs ?? controlConnectMsMax;
    const socket = await connectUnix(path, 'E_TRACER_CONNECT', { signal: options.signal, timeoutMs });
    return new TracerClient(path, new ControlChannel(socket, dialect));
  }

  /** Versions, mode and RAM blocks. `bytes` of a block is its used length. */
  hello(options?: RequestOptions): Promise<replies.TracerHello> {
    return this.call('hello', undefined, replies.helloSchema, options);
  }

  status(options?: RequestOptions): Promise<replies.TracerStatus> {
    return this.call('status', undefined, replies.statusSchema, options);
  }

  /** Runs the dormant guest under icount for `ms` (10…1000), to learn its speed (see `chooseShift`). */
  probe(ms: number, options?: RequestOptions): Promise<replies.ProbeReply> {
    return this.call('probe', { ms }, replies.probeSchema, options);
  }

  /**
   * Puts huge pages of guest RAM back together that an earlier checkpoint has split, so that the next one stops the guest
   * for no longer than the first (0.6 s for each GiB that is split). Returns the bytes put together.
   */
  async collapse(options?: RequestOptions): Promise<number> {
    let [collapsedBytes, block, offset] = [0, 0, 0];
    for (;;) {
      const reply = await this.call('collapse', { block, offset }, replies.collapseSchema, options);
      collapsedBytes += reply.collapsedBytes;
      if (reply.done) return collapsedBytes;
      ({ block, offset } = reply);
    }
  }

  /**
   * Dormant to armed, in one stopped instant. With `checkpoint`, the reply holds the device state and the frozen RAM
   * image, which must be given back with `thaw`.
   */
  arm(args: ArmArguments & { checkpoint: true }, options?: RequestOptions): Promise<replies.ArmCheckpointReply>;
  arm(args: ArmArguments, options?: RequestOptions): Promise<replies.ArmReply>;
  arm(args: ArmArguments, options?: RequestOptions): Promise<replies.ArmReply> {
    const schema = args.checkpoint ? replies.armCheckpointSchema : replies.armSchema;
    return this.call('arm', args, schema, options);
  }

  /** Changes the bounds at which segments are cut. */
  async segment(args: { ms: number; bytes: number }, options?: RequestOptions): Promise<void> {
    await this.call('segment', args, replies.emptySchema, options);
  }

  /** `fraction` (0…0.95) is the share of each period that the vCPU sleeps. */
  async pace(fraction: number, options?: RequestOptions): Promise<void> {
    await this.call('pace', { fraction }, replies.emptySchema, options);
  }

  /** Sends the final segment out and goes back to dormant; the guest goes on. */
  disarm(options?: RequestOptions): Promise<replies.DisarmReply> {
    return this.call('disarm', undefined, replies.disarmSchema, options);
  }

  /** Stops the guest under a lease and sends the final segment out. */
  finish(leaseMs: number, options?: RequestOptions): Promise<replies.FinishReply> {
    return this.call('finish', { leaseMs }, replies.finishSchema, options);
  }

  /** Prolongs a stop's lease. */
  async renew(leaseMs: number, options?: RequestOptions): Promise<void> {
    await this.call('renew', { leaseMs }, replies.emptySchema, options);
  }

  /** After `finish` or `stop`: the guest goes on here, dormant. */
  async resume(options?: RequestOptions): Promise<void> {
    await this.call('resume', undefined, replies.emptySchema, options);
  }

  /** After `finish`: this QEMU does not run the guest by itself any more. */
  async relinquish(options?: RequestOptions): Promise<void> {
    await this.call('relinquish', undefined, replies.emptySchema, options);
  }

  /** Undoes `relinquish`, for a destination that has declined: the guest goes on here, dormant. */
  async reclaim(options?: RequestOptions): Promise<void> {
    await this.call('reclaim', undefined, replies.emptySchema, options);
  }

  /** Stops a dormant or armed guest under a lease. Returns how long stopping took, in ns. */
  async stop(leaseMs: number, options?: RequestOptions): Promise<number> {
    return (await this.call('stop', { leaseMs }, replies.durationSchema, options)).ns;
  }

  /** Undoes `stop`. */
  async cont(options?: RequestOptions): Promise<void> {
    await this.call('cont', undefined, replies.emptySchema, options);
  }

  /** In a QEMU started paused whose RAM has been written: loads the device state. Returns how long that took, in ns. */
  async restore(args: { shift: number; deviceState: Uint8Array }, options?: RequestOptions): Promise<number> {
    const { buffer, byteOffset, byteLength } = args.deviceState;
    const deviceState = Buffer.from(buffer, byteOffset, byteLength).toString('base64');
    return (await this.call('restore', { shift: args.shift, deviceState }, replies.durationSchema, options)).ns;
  }

  /** After `restore`: replays the frames of a stream, up to `until`. Returns at once; `reached` says when it is there. */
  async play(args: { stream: string; until?: Icount }, options?: RequestOptions): Promise<void> {
    await this.call('play', args, replies.emptySchema, options);
  }

  /** After `reached` by `until`, or by a final segment that others follow: replays on. */
  async continue(args: { until?: Icount } = {}, options?: RequestOptions): Promise<void> {
    await this.call('continue', args, replies.emptySchema, options);
  }

  /** Digests of the stopped guest; `ram` reads all of its memory. */
  digest(args: { ram: true }, options?: RequestOptions): Promise<replies.DigestRamReply>;
  digest(args: { ram: boolean }, options?: RequestOptions): Promise<replies.DigestReply>;
  digest(args: { ram: boolean }, options?: RequestOptions): Promise<replies.DigestReply> {
    return this.call('digest', args, args.ram ? replies.digestRamSchema : replies.digestSchema, options);
  }

  /** Freezes the stopped guest's RAM; give the image back with `thaw`. */
  freeze(options?: RequestOptions): Promise<replies.FreezeReply> {
    return this.call('freeze', undefined, replies.freezeSchema, options);
  }

  /** Kills a frozen image. */
  async thaw(pid: number, options?: RequestOptions): Promise<void> {
    await this.call('thaw', { pid }, replies.emptySchema, options);
  }

  /**
   * After `reached` with the final segment played: the guest runs here, dormant, or, with a stream, armed: then its log goes
   * on where the one that was played ended. With `freeze`, RAM is frozen before.
   */
  live(
    args: { freeze: boolean } | LogArguments = { freeze: false },
    options?: RequestOptions,
  ): Promise<replies.LiveReply> {
    return this.call('live', args, replies.liveSchema, options);
  }

  /**
   * Opens a bulk stream under a name, for `arm` or `play`. The socket is raw and untouched: no byte has been read from it.
   * Its errors end it quietly; a reader learns of them by its iteration, its pipeline, or `close`.
   * @throws E_TRACER_CONNECT, E_TRACER_PROTOCOL, the tracer's refusal, E_ABORTED
   */
  async openStream(name: string, options: TracerConnectOptions = {}): Promise<net.Socket> {
    const { signal, timeoutMs = controlConnectMsMax } = options;
    const socket = await connectUnix(this.path, 'E_TRACER_CONNECT', { signal, timeoutMs });
    socket.on('error', () => undefined);
    try {
      socket.write(`${JSON.stringify({ execute: 'stream', arguments: { name }, id: 1 })}\n`);
      streamReply(await firstLine(socket, { signal, timeoutMs }));
      return socket;
    } catch (cause) {
      socket.destroy();
      throw streamError(cause, name, signal);
    }
  }

  /** Why the connection ended; null while it is up. */
  get closedBy(): TrmigError | null {
    return this.channel.closedBy;
  }

  /** Calls `listener` when the connection ends; returns what stops that. */
  onClose(listener: (reason: TrmigError) => void): () => void {
    return this.channel.onClose(listener);
  }

  close(): void {
    this.channel.close();
  }

  private async call<T>(
    command: string,
    args: object | undefined,
    schema: z.ZodType<T>,
    options: RequestOptions = {},
  ): Promise<T> {
    const reply = schema.safeParse(await this.channel.request(command, args, options));
    if (reply.success) return reply.data;
    throw this.channel.breach(`the reply to '${command}' does not fit: ${z.prettifyError(reply.error)}`);
  }
}

function streamReply(line: Buffer): void {
  const message = parseMessage(line);
  if ('return' in message && message.id === 1) return;
  if ('error' in message) {
    const { class: errorClass, desc } = message.error;
    throw new TrmigError(dialect.refused(errorClass), `the tracer refused 'stream': ${desc}`, {
      facts: { command: 'stream', class: errorClass, desc },
    });
  }
  throw new Error('an event or a reply to another request');
}

function streamError(cause: unknown, name: string, signal: AbortSignal | undefined): TrmigError {
  if (cause instanceof TrmigError) return cause;
  const facts = { command: 'stream', stream: name };
  if (signal?.aborted) return new TrmigError('E_ABORTED', `opening stream '${name}' was cancelled`, { cause, facts });
  if (cause instanceof FirstLineTimeout) {
    return new TrmigError('E_TRACER_TIMEOUT', `the tracer did not answer 'stream' for '${name}'`, { cause, facts });
  }
  const why = cause instanceof Error ? cause.message : String(cause);
  return new TrmigError('E_TRACER_PROTOCOL', `the tracer did not open stream '${name}': ${why}`, { cause, facts });
}
