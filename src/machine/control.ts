// One control connection: requests with ids out, replies and events in. QMP and the tracer differ only in their greeting,
// their commands and their error codes, so the connection is written once.
//
// Invariants:
// - Every request settles exactly once: by its reply, an error, its timeout, its signal, or the end of the connection.
// - A request given up on (timeout, abort) leaves a tombstone, so that its late reply is recognized and dropped.
// - A peer that breaks the protocol ends the connection; nothing after the first bad line is believed.
import net from 'node:net';
import { z } from 'zod';
import { TrmigError, type ErrorCode } from '../errors.js';
import { controlLineBytesMax, controlPendingMax, controlReplyMsMax } from '../limits.js';
import { LineReader } from './lines.js';

/** How a peer's failures are reported. */
export interface ControlDialect {
  /** What the peer is called in messages: "QEMU", "the tracer". */
  readonly peer: string;
  readonly closed: ErrorCode;
  readonly timeout: ErrorCode;
  readonly protocol: ErrorCode;
  /** The code for an error reply's class. */
  readonly refused: (errorClass: string) => ErrorCode;
}

export interface RequestOptions {
  readonly signal?: AbortSignal | undefined;
  /** How long to wait for the reply; 60 s when not given. */
  readonly timeoutMs?: number | undefined;
}

/** An event as it came, its data not yet validated. */
export interface RawEvent {
  readonly event: string;
  readonly data: unknown;
}

interface Pending {
  readonly command: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

const messageSchema = z.union([
  z.object({ return: z.unknown().refine((v) => v !== undefined), id: z.number().int() }),
  z.object({
    error: z.object({ class: z.string().max(200), desc: z.string() }),
    id: z.number().int().optional(),
  }),
  z.object({ event: z.string().max(200), data: z.unknown().optional() }),
]);

/** Parses one line of a control connection. Throws a plain Error that says what is wrong; a caller gives it its code. */
export function parseMessage(line: Buffer): z.infer<typeof messageSchema> {
  const parsed: unknown = JSON.parse(line.toString('utf8'));
  const message = messageSchema.safeParse(parsed);
  if (!message.success) throw new Error('the line is neither a reply with an id nor an event');
  return message.data;
}

/** A connected control socket. */
export class ControlChannel {
  private readonly lines = new LineReader(controlLineBytesMax);
  private readonly pending = new Map<number, Pending | null>();
  private readonly eventListeners = new Set<(event: RawEvent) => void>();
  private readonly closeListeners = new Set<(reason: TrmigError) => void>();
  private nextId = 1;
  private ended: TrmigError | null = null;

  /** Takes over a connected socket; nothing else may read from it. */
  constructor(
    private readonly socket: net.Socket,
    private readonly dialect: ControlDialect,
  ) {
    socket.on('data', (chunk: Buffer) => this.receive(chunk));
    socket.on('error', (cause) =>
      this.end(dialect.closed, `the connection to ${dialect.peer} broke: ${cause.message}`),
    );
    socket.on('close', () => this.end(dialect.closed, `${dialect.peer} closed the connection`));
  }

  /** Why the connection ended; null while it is up. */
  get closedBy(): TrmigError | null {
    return this.ended;
  }

  /** Whether this connection keeps the process alive while it waits; it does unless told otherwise. */
  setKeepAlive(keep: boolean): void {
    if (keep) this.socket.ref();
    else this.socket.unref();
  }

  /** Calls `listener` for each event; returns what stops that. */
  onEvent(listener: (event: RawEvent) => void): () => void {
    this.eventListeners.add(listener);
    return () => this.eventListeners.delete(listener);
  }

  /** Calls `listener` once when the connection ends (at once if it has); returns what stops that. */
  onClose(listener: (reason: TrmigError) => void): () => void {
    if (this.ended) {
      listener(this.ended);
      return () => undefined;
    }
    this.closeListeners.add(listener);
    return () => this.closeListeners.delete(listener);
  }

  /**
   * Sends a command and waits for its reply.
   * @throws TrmigError with the dialect's codes, or E_ABORTED. After a timeout or an abort the command may still take effect.
   */
  request(execute: string, args: object | undefined, options: RequestOptions = {}): Promise<unknown> {
    const { signal, timeoutMs = controlReplyMsMax } = options;
    if (signal?.aborted) return Promise.reject(aborted(execute, signal));
    if (this.ended) return Promise.reject(this.again(this.ended));
    if (this.pending.size >= controlPendingMax) {
      return Promise.reject(
        new TrmigError('E_INTERNAL', `more than ${controlPendingMax} requests wait for ${this.dialect.peer}`),
      );
    }
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      const giveUp = (error: TrmigError): void => {
        settle();
        this.pending.set(id, null);
        reject(error);
      };
      const onAbort = (): void => giveUp(aborted(execute, signal!));
      const timer = setTimeout(() => {
        const facts = { command: execute, timeoutMs };
        giveUp(
          new TrmigError(this.dialect.timeout, `${this.dialect.peer} did not answer '${execute}' in ${timeoutMs} ms`, {
            facts,
          }),
        );
      }, timeoutMs);
      const settle = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.pending.set(id, {
        command: execute,
        resolve: (value) => {
          settle();
          resolve(value);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      });
      const message = args === undefined ? { execute, id } : { execute, arguments: args, id };
      this.socket.write(`${JSON.stringify(message)}\n`);
    });
  }

  /** Ends the connection; waiting requests fail. */
  close(): void {
    this.end(this.dialect.closed, `the connection to ${this.dialect.peer} was closed here`);
  }

  /** Ends the connection because the peer broke the protocol, and returns the error that says so. */
  breach(what: string, cause?: unknown): TrmigError {
    const error = new TrmigError(this.dialect.protocol, `${this.dialect.peer} broke the protocol: ${what}`, { cause });
    this.endWith(error);
    return error;
  }

  private receive(chunk: Buffer): void {
    if (this.ended) return;
    try {
      for (const line of this.lines.push(chunk)) {
        this.dispatch(parseMessage(line));
        if (this.closedBy) return;
      }
    } catch (cause) {
      this.breach(cause instanceof Error ? cause.message : String(cause), cause);
    }
  }

  private dispatch(message: z.infer<typeof messageSchema>): void {
    if ('event' in message) {
      for (const listener of [...this.eventListeners]) listener({ event: message.event, data: message.data });
      return;
    }
    // QEMU answers a line that it could not parse without an id: it can only mean that we sent nonsense.
    if (message.id === undefined) {
      this.breach(`it refused a line as a whole: ${'error' in message ? message.error.desc : ''}`);
      return;
    }
    const waiting = this.pending.get(message.id);
    if (waiting === undefined) {
      this.breach(`a reply to a request that was not made (id ${message.id})`);
      return;
    }
    this.pending.delete(message.id);
    if (waiting === null) return;
    if ('return' in message) {
      waiting.resolve(message.return);
      return;
    }
    const { class: errorClass, desc } = message.error;
    waiting.reject(
      new TrmigError(this.dialect.refused(errorClass), `${this.dialect.peer} refused '${waiting.command}': ${desc}`, {
        facts: { command: waiting.command, class: errorClass, desc },
      }),
    );
  }

  private end(code: ErrorCode, message: string): void {
    if (!this.ended) this.endWith(new TrmigError(code, message));
  }

  private endWith(reason: TrmigError): void {
    if (this.ended) return;
    this.ended = reason;
    this.socket.destroy();
    const waiting = [...this.pending.values()];
    this.pending.clear();
    for (const one of waiting) one?.reject(this.again(reason, one.command));
    for (const listener of [...this.closeListeners]) listener(reason);
    this.closeListeners.clear();
    this.eventListeners.clear();
  }

  /** The reason of the end, as an error of its own for each request, so that stacks and facts are not shared. */
  private again(reason: TrmigError, command?: string): TrmigError {
    const during = command === undefined ? '' : ` (while '${command}' was waiting for its reply)`;
    return new TrmigError(reason.code, `${reason.message}${during}`, {
      cause: reason,
      facts: command === undefined ? {} : { command },
    });
  }
}

function aborted(command: string, signal: AbortSignal): TrmigError {
  return new TrmigError('E_ABORTED', `'${command}' was cancelled`, { cause: signal.reason, facts: { command } });
}

/**
 * Connects to a Unix socket.
 * @throws TrmigError `code` when it does not accept within `timeoutMs`, E_ABORTED by the signal
 */
export function connectUnix(
  path: string,
  code: ErrorCode,
  options: { signal?: AbortSignal | undefined; timeoutMs: number },
): Promise<net.Socket> {
  const { signal, timeoutMs } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(aborted(`connect ${path}`, signal));
      return;
    }
    const socket = net.connect(path);
    const done = (error?: TrmigError): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      socket.removeListener('error', onError);
      socket.removeListener('connect', onConnect);
      if (!error) {
        resolve(socket);
        return;
      }
      socket.on('error', () => undefined);
      socket.destroy();
      reject(error);
    };
    const onConnect = (): void => done();
    const onAbort = (): void => done(aborted(`connect ${path}`, signal!));
    const onError = (cause: NodeJS.ErrnoException): void =>
      done(
        new TrmigError(code, `cannot connect to ${path}: ${cause.code ?? cause.message}`, { cause, facts: { path } }),
      );
    const timer = setTimeout(
      () => done(new TrmigError(code, `${path} did not accept within ${timeoutMs} ms`, { facts: { path } })),
      timeoutMs,
    );
    socket.once('connect', onConnect);
    socket.once('error', onError);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
