// QEMU's monitor protocol: a greeting, a capabilities handshake, then commands and events. QEMU serves one client per
// socket at a time: a second one is accepted by the kernel but not greeted, which is why the greeting has its own timeout
// and its own sentence. Keep connections short.
import { z } from 'zod';
import { TrmigError } from '../errors.js';
import { controlConnectMsMax } from '../limits.js';
import { ControlChannel, connectUnix, type ControlDialect, type RawEvent, type RequestOptions } from './control.js';
import { FirstLineTimeout, firstLine } from './first-line.js';
import type net from 'node:net';

const dialect: ControlDialect = {
  peer: 'QEMU',
  closed: 'E_QMP_CLOSED',
  timeout: 'E_QMP_TIMEOUT',
  protocol: 'E_QMP_PROTOCOL',
  refused: () => 'E_QMP_COMMAND',
};

const greetingSchema = z.object({
  QMP: z.object({
    version: z.object({
      qemu: z.object({
        major: z.number().int().nonnegative(),
        minor: z.number().int().nonnegative(),
        micro: z.number().int().nonnegative(),
      }),
      package: z.string(),
    }),
  }),
});

export interface QemuVersion {
  readonly major: number;
  readonly minor: number;
  readonly micro: number;
  /** The distribution's name for it, e.g. "Debian 1:10.0.2+ds-2"; may be empty. */
  readonly package: string;
}

const statusSchema = z.object({ running: z.boolean(), status: z.string() });

export interface QmpConnectOptions {
  readonly signal?: AbortSignal | undefined;
  /** For the connection and the greeting together. */
  readonly timeoutMs?: number | undefined;
}

/** Parses QEMU's greeting line. Throws a plain Error. */
export function parseGreeting(line: Buffer): QemuVersion {
  const greeting = greetingSchema.safeParse(JSON.parse(line.toString('utf8')));
  if (!greeting.success) throw new Error('the first line is not a QMP greeting');
  const { qemu, package: packageName } = greeting.data.QMP.version;
  return { ...qemu, package: packageName };
}

/** A QMP connection past its handshake. */
export class QmpClient {
  private constructor(
    private readonly channel: ControlChannel,
    /** QEMU's version, from the greeting. */
    readonly version: QemuVersion,
  ) {}

  /**
   * Connects and negotiates capabilities.
   * @throws E_QMP_CONNECT when nothing answers or another client holds the monitor, E_QMP_PROTOCOL, E_ABORTED
   */
  static async connect(path: string, options: QmpConnectOptions = {}): Promise<QmpClient> {
    const timeoutMs = options.timeoutMs ?? controlConnectMsMax;
    const socket = await connectUnix(path, 'E_QMP_CONNECT', { signal: options.signal, timeoutMs });
    let version: QemuVersion;
    try {
      version = await greeting(socket, path, { signal: options.signal, timeoutMs });
    } catch (error) {
      socket.on('error', () => undefined);
      socket.destroy();
      throw error;
    }
    const channel = new ControlChannel(socket, dialect);
    try {
      await channel.request('qmp_capabilities', undefined, { signal: options.signal, timeoutMs });
    } catch (error) {
      channel.close();
      throw error;
    }
    return new QmpClient(channel, version);
  }

  /**
   * Runs a command; its `return` comes back unvalidated: give it to a schema before use.
   * @throws E_QMP_COMMAND (QEMU's class and text in the facts), E_QMP_TIMEOUT, E_QMP_CLOSED, E_QMP_PROTOCOL, E_ABORTED
   */
  execute(command: string, args?: object, options: RequestOptions = {}): Promise<unknown> {
    return this.channel.request(command, args, options);
  }

  /** Runs a command and validates its reply. @throws as `execute`, and E_QMP_PROTOCOL when the reply does not fit */
  async query<T>(command: string, schema: z.ZodType<T>, args?: object, options: RequestOptions = {}): Promise<T> {
    const reply = schema.safeParse(await this.channel.request(command, args, options));
    if (reply.success) return reply.data;
    throw this.channel.breach(`the reply to '${command}' does not fit: ${z.prettifyError(reply.error)}`);
  }

  /** `query-status`: whether the guest runs, and QEMU's run state. */
  status(options: RequestOptions = {}): Promise<{ running: boolean; status: string }> {
    return this.query('query-status', statusSchema, undefined, options);
  }

  /** Calls `listener` for each event; returns what stops that. */
  onEvent(listener: (event: RawEvent) => void): () => void {
    return this.channel.onEvent(listener);
  }

  /** Calls `listener` when the connection ends; returns what stops that. */
  onClose(listener: (reason: TrmigError) => void): () => void {
    return this.channel.onClose(listener);
  }

  get closedBy(): TrmigError | null {
    return this.channel.closedBy;
  }

  close(): void {
    this.channel.close();
  }
}

/** Waits for the greeting line, leaving whatever follows it in the socket. */
function greeting(
  socket: net.Socket,
  path: string,
  options: { signal?: AbortSignal | undefined; timeoutMs: number },
): Promise<QemuVersion> {
  return firstLine(socket, options).then(
    (line) => {
      try {
        return parseGreeting(line);
      } catch (cause) {
        throw new TrmigError('E_QMP_PROTOCOL', `${path} is not a QMP socket: ${(cause as Error).message}`, {
          cause,
          facts: { path },
        });
      }
    },
    (cause: unknown) => {
      if (cause instanceof FirstLineTimeout) {
        throw new TrmigError(
          'E_QMP_CONNECT',
          `${path} accepted but sent no greeting: another client holds the monitor`,
          {
            hint: 'Wait for the other command on this machine to end, then run it again.',
            facts: { path },
          },
        );
      }
      if (options.signal?.aborted) throw new TrmigError('E_ABORTED', `connecting to ${path} was cancelled`, { cause });
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new TrmigError('E_QMP_CONNECT', `${path} sent no greeting: ${why}`, { cause, facts: { path } });
    },
  );
}
