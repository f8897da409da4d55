// One connection between two trmigs, as frames. The link knows nothing of migrations: it orders, meters, keeps alive, and
// says once why it ended.
// Invariants:
// - At most one bulk frame is ahead of an urgent one in our own hands (the kernel's buffer is beyond us).
// - When the session does not take frames, the socket is not read: memory stays bounded and the peer feels it.
// - The bytes by kind add up to what the socket has moved (the stream within TLS, where there is TLS).
// - After the first fault the socket is destroyed; every send and every reader learns the same TrmigError; no throw
//   escapes into the event loop.

import type { Duplex } from 'node:stream';
import { TrmigError, asTrmigError } from '../errors.js';
import { wireHeartbeatMs, wireIdleMs, wireInboxBytesMax } from '../limits.js';
import { capabilities } from './capabilities.js';
import { FRAME_KINDS, type Frame, type SessionFrame } from './frames.js';
import { ByteMeter, RateMeter, totalBytes, type LinkBytes, type LinkRates } from './meter.js';
import { Outbox, type Waiting } from './outbox.js';
import { FrameParser, encodeFrame, type ParsedFrame } from './parser.js';
import { Throttle } from './throttle.js';

/** What the other side said of itself in the handshake. */
export interface PeerInfo {
  readonly trmig: string;
  readonly host: string;
  readonly capabilities: readonly string[];
}

export interface LinkOptions {
  /** Named in errors: the peer's address. */
  readonly name: string;
  /** Whether it is TLS. */
  readonly encrypted?: boolean;
  /** The cap of what is sent, but for control frames; none when left out. */
  readonly bytesPerSecondMax?: number | undefined;
  readonly heartbeatMs?: number;
  readonly idleMs?: number;
  /** Milliseconds of a monotonic clock. */
  readonly nowMs?: () => number;
}

interface Taker {
  readonly take: (frame: Frame | null) => void;
  readonly failed: (error: TrmigError) => void;
}

/** A framed connection. Made by `connect` and `listen`, which do the handshake. */
export class Link {
  readonly name: string;
  readonly encrypted: boolean;
  /** The cap of what this side sends; null: none. */
  readonly bytesPerSecondMax: number | null;
  /** Resolves when the connection has ended: null when either side closed it in order, else why. Never rejects. */
  readonly closed: Promise<TrmigError | null>;

  readonly #socket: Duplex;
  readonly #nowMs: () => number;
  readonly #heartbeatMs: number;
  readonly #idleMs: number;
  readonly #parser = new FrameParser();
  readonly #meter = new ByteMeter();
  readonly #rateMeter = new RateMeter();
  readonly #outbox = new Outbox();
  readonly #throttle: Throttle | null;
  readonly #inbox: ParsedFrame[] = [];
  readonly #pings = new Map<number, number>();
  #inboxBytes = 0;
  #taker: Taker | null = null;
  #ended: { readonly error: TrmigError | null } | null = null;
  #resolveClosed!: (error: TrmigError | null) => void;
  #blocked = false;
  #closing = false;
  #paused = false;
  #token = 0;
  #heardMs: number;
  #tickMs: number;
  #timer: NodeJS.Timeout | null = null;
  #throttled: NodeJS.Timeout | null = null;
  #peer: PeerInfo | null = null;
  #version = 1;
  #short = false;

  constructor(socket: Duplex, options: LinkOptions) {
    this.#socket = socket;
    this.name = options.name;
    this.encrypted = options.encrypted ?? false;
    this.bytesPerSecondMax = options.bytesPerSecondMax ?? null;
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#heartbeatMs = options.heartbeatMs ?? wireHeartbeatMs;
    this.#idleMs = options.idleMs ?? wireIdleMs;
    this.#heardMs = this.#tickMs = this.#nowMs();
    this.#throttle = this.bytesPerSecondMax === null ? null : new Throttle(this.bytesPerSecondMax, this.#heardMs);
    this.closed = new Promise((resolve) => (this.#resolveClosed = resolve));
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('drain', () => this.#onDrain());
    socket.on('end', () => this.#onEnd());
    socket.on('error', (error: Error) => this.#finish(this.#gone(error.message, error)));
    socket.on('close', () => this.#onEnd());
  }

  /** The other side. @throws TrmigError E_INTERNAL before the handshake. */
  get peer(): PeerInfo {
    if (this.#peer === null) throw new TrmigError('E_INTERNAL', 'the link was asked for its peer before the handshake');
    return this.#peer;
  }

  /** Bytes so far, by kind; a copy. */
  get bytes(): LinkBytes {
    return this.#meter.snapshot();
  }

  /** What the link has been seen to carry, and its round trip. */
  get rates(): LinkRates {
    return this.#rateMeter.rates;
  }

  /** Frames that wait in our own hands. */
  get waiting(): number {
    return this.#outbox.length;
  }

  /**
   * Sends a frame; resolves when it has been handed to the socket. Await it before making the next bulk frame: that is
   * the backpressure.
   * @throws TrmigError the link's fault when it has ended; E_ABORTED when `signal` fires before the frame's turn came.
   */
  send(frame: SessionFrame, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    return this.transmit(frame, options.signal);
  }

  /**
   * The frames of the peer, in its order, until it closes (which, without an `abort` frame before it, may well be its
   * death: what an end means is the session's to judge). One reader at a time.
   * @throws TrmigError the link's fault.
   */
  async *frames(): AsyncGenerator<SessionFrame, void, void> {
    for (;;) {
      const frame = await this.receive();
      if (frame === null) return;
      yield frame as SessionFrame;
    }
  }

  /** Sends what waits, then closes. Resolves when the connection has ended. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#pump();
    await this.closed;
  }

  /** Ends the connection at once; everyone who waits learns `error`. */
  destroy(error: TrmigError = new TrmigError('E_ABORTED', `the connection to ${this.name} was ended`)): void {
    this.#finish(error);
  }

  /** For the handshake: any frame. */
  transmit(frame: Frame, signal?: AbortSignal): Promise<void> {
    if (this.#ended !== null) return Promise.reject(this.#ended.error ?? this.#gone('it is closed'));
    if (this.#closing) return Promise.reject(this.#gone('we are closing it'));
    if (signal?.aborted === true) return Promise.reject(aborted(signal));
    return new Promise<void>((resolve, reject) => {
      const onAbort = (): void => {
        if (this.#outbox.withdraw(waiting)) reject(aborted(signal!));
      };
      const waiting: Waiting = {
        frame,
        sent: () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
        failed: (error) => {
          signal?.removeEventListener('abort', onAbort);
          reject(error);
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#outbox.put(waiting);
      this.#pump();
    });
  }

  /** For the handshake: the next frame, or null when the peer has closed in order. @throws TrmigError the link's fault. */
  receive(): Promise<Frame | null> {
    const next = this.#inbox.shift();
    if (next !== undefined) {
      this.#inboxBytes -= next.bytes;
      if (this.#paused && this.#inboxBytes < wireInboxBytesMax) this.#resume();
      return Promise.resolve(next.frame);
    }
    if (this.#ended !== null) {
      return this.#ended.error === null ? Promise.resolve(null) : Promise.reject(this.#ended.error);
    }
    if (this.#taker !== null) throw new TrmigError('E_INTERNAL', 'a link was read by two readers at once');
    return new Promise((take, failed) => (this.#taker = { take, failed }));
  }

  /** The handshake is done: only session frames of `version` from here on, and heartbeats begin. */
  opened(version: number, peer: PeerInfo): void {
    this.#parser.version = this.#version = version;
    this.#peer = peer;
    this.#short = peer.capabilities.includes(capabilities.shortFrames);
    this.#heardMs = this.#tickMs = this.#nowMs();
    this.#timer = setInterval(() => this.#heartbeat(), this.#heartbeatMs);
    this.#timer.unref();
    this.#heartbeat();
    this.#onData(Buffer.alloc(0));
  }

  #gone(why: string, cause?: unknown): TrmigError {
    return new TrmigError('E_PEER_GONE', `the connection to ${this.name} broke: ${why}`, {
      cause,
      facts: { peer: this.name },
    });
  }

  #onData(chunk: Buffer): void {
    if (this.#ended !== null) return;
    this.#heardMs = this.#nowMs();
    try {
      for (const parsed of this.#parser.push(chunk)) {
        this.#meter.received[FRAME_KINDS[parsed.frame.kind].bytes] += parsed.bytes;
        this.#deliver(parsed);
      }
    } catch (error) {
      this.#finish(asTrmigError(error));
    }
  }

  #deliver(parsed: ParsedFrame): void {
    const { frame } = parsed;
    if (frame.kind === 'ping') {
      const receivedBytes = totalBytes(this.#meter.received);
      this.transmit({ kind: 'pong', token: frame.token, receivedBytes }).catch(() => undefined);
      return;
    }
    if (frame.kind === 'pong') {
      const askedMs = this.#pings.get(frame.token);
      this.#pings.delete(frame.token);
      if (askedMs === undefined) throw new TrmigError('E_WIRE_GARBAGE', 'a pong came that nobody had asked for');
      this.#rateMeter.pong(this.#nowMs(), askedMs, frame.receivedBytes, totalBytes(this.#meter.sent));
      return;
    }
    if (this.#taker !== null) {
      const { take } = this.#taker;
      this.#taker = null;
      take(frame);
      return;
    }
    this.#inbox.push(parsed);
    this.#inboxBytes += parsed.bytes;
    if (this.#inboxBytes >= wireInboxBytesMax && !this.#paused) {
      this.#paused = true;
      this.#socket.pause();
    }
  }

  #resume(): void {
    this.#paused = false;
    this.#heardMs = this.#nowMs();
    this.#socket.resume();
  }

  /** Until a frame may go under the cap. */
  #waitMs(frame: Frame): number {
    return this.#throttle?.waitMs(FRAME_KINDS[frame.kind].bytes, this.#nowMs()) ?? 0;
  }

  /** What is left waits for the cap. */
  #pumpLater(): void {
    if (this.#throttled !== null) clearTimeout(this.#throttled);
    const waitMs = Math.min(...this.#outbox.heads.map((frame) => this.#waitMs(frame)));
    this.#throttled = setTimeout(() => this.#pump(), Math.ceil(waitMs));
  }

  /** Writes until the socket says that it has enough, or the cap is reached. */
  #pump(): void {
    while (!this.#blocked && this.#ended === null) {
      const next = this.#outbox.take((frame) => this.#waitMs(frame) === 0);
      if (next === undefined) {
        if (this.#outbox.length > 0) this.#pumpLater();
        else if (this.#closing) this.#socket.end();
        return;
      }
      let encoded;
      try {
        encoded = encodeFrame(next.frame, { version: this.#version, short: this.#short });
      } catch (error) {
        next.failed(asTrmigError(error));
        continue;
      }
      const { bytes: kind } = FRAME_KINDS[next.frame.kind];
      this.#meter.sent[kind] += encoded.bytes;
      this.#throttle?.sent(kind, encoded.bytes, this.#nowMs());
      this.#socket.cork();
      this.#socket.write(encoded.head);
      if (encoded.payload !== null && encoded.payload.length > 0) this.#socket.write(encoded.payload);
      this.#socket.uncork();
      this.#blocked = this.#socket.writableNeedDrain;
      next.sent();
    }
  }

  #onDrain(): void {
    this.#blocked = false;
    this.#pump();
  }

  #onEnd(): void {
    const partial = this.#parser.pendingBytes;
    if (partial > 0) this.#finish(this.#gone(`it ended inside a frame, ${partial} bytes into it`));
    else this.#finish(null);
  }

  #heartbeat(): void {
    const nowMs = this.#nowMs();
    // We ourselves were suspended: silence in that time says nothing about the peer.
    if (nowMs - this.#tickMs > 4 * this.#heartbeatMs) this.#heardMs = nowMs;
    this.#tickMs = nowMs;
    if (!this.#paused && nowMs - this.#heardMs > this.#idleMs) {
      this.#finish(this.#gone(`nothing was heard for ${Math.round(nowMs - this.#heardMs)} ms`));
      return;
    }
    if (this.#pings.size >= 4) return;
    this.#token = (this.#token + 1) >>> 0;
    this.#pings.set(this.#token, nowMs);
    this.transmit({ kind: 'ping', token: this.#token }).catch(() => undefined);
  }

  #finish(error: TrmigError | null): void {
    if (this.#ended !== null) return;
    this.#ended = { error };
    if (this.#timer !== null) clearInterval(this.#timer);
    if (this.#throttled !== null) clearTimeout(this.#throttled);
    this.#outbox.fail(error ?? this.#gone('it is closed'));
    const taker = this.#taker;
    this.#taker = null;
    if (error === null) taker?.take(null);
    else taker?.failed(error);
    if (error === null) this.#socket.end();
    else this.#socket.destroy();
    this.#resolveClosed(error);
  }
}

function aborted(signal: AbortSignal): TrmigError {
  const reason: unknown = signal.reason;
  return reason instanceof TrmigError
    ? reason
    : new TrmigError('E_ABORTED', 'sending was cancelled', { cause: reason });
}
