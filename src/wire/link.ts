// Two trmigs in touch, as frames. The link knows nothing of migrations: it orders, meters, keeps alive, goes on over another
// connection when one is lost, and says once why it ended.
// Invariants:
// - At most one bulk frame is ahead of an urgent one in our own hands (the kernel's buffer is beyond us).
// - When the session does not take frames, the socket is not read: memory stays bounded and the peer feels it. When the peer
//   does not say that it has frames, no more are sent, but for control frames.
// - The session's frames come once and in the order in which they went, over however many connections.
// - The bytes by kind add up to what the sockets have moved (the streams within TLS, where there is TLS).
// - After the end the socket is gone; every send and every reader learns the same TrmigError; no throw escapes into the event loop.

import type { Duplex } from 'node:stream';
import { TrmigError, asTrmigError } from '../errors.js';
import { wireAckBytes, wireHeardMs, wireHeartbeatMs, wireIdleMs, wireRetainedBytesMax } from '../limits.js';
import { capabilities } from './capabilities.js';
import { Carrier, peerGone } from './carrier.js';
import { FRAME_KINDS, isSessionFrame, type Frame, type SessionFrame } from './frames.js';
import { Inbox } from './inbox.js';
import { ByteMeter, type LinkBytes, type LinkRates } from './meter.js';
import { Outages, type OutagesSoFar, type Resumption } from './outages.js';
import { Outbox, type Waiting } from './outbox.js';
import { encodeFrame, type ParsedFrame } from './parser.js';
import { Pulse } from './pulse.js';
import { Retained, type RetainedFrame } from './retained.js';
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

/** A framed connection. Made by `connect` and `listen`, which do the handshake. */
export class Link {
  readonly name: string;
  readonly encrypted: boolean;
  /** The cap of what this side sends; null: none. */
  readonly bytesPerSecondMax: number | null;
  /** Resolves when the link has ended: null when either side closed it in order, else why. Never rejects. */
  readonly closed: Promise<TrmigError | null>;

  readonly #nowMs: () => number;
  readonly #heartbeatMs: number;
  readonly #idleMs: number;
  readonly #pulse: Pulse;
  readonly #meter = new ByteMeter();
  readonly #inbox = new Inbox();
  readonly #outbox = new Outbox();
  readonly #retained = new Retained();
  readonly #throttle: Throttle | null;
  /** null: there is none now. */
  #carrier: Carrier | null;
  /** null: the link lives and ends with its connection. */
  #outages: Outages | null = null;
  /** Frames of the session that have come, and how many bytes of them the peer has not been told of. */
  #received = 0;
  #untoldBytes = 0;
  #ended: { readonly error: TrmigError | null } | null = null;
  #resolveClosed!: (error: TrmigError | null) => void;
  #closing: 'no' | 'when empty' | 'said' = 'no';
  #timer: NodeJS.Timeout | null = null;
  #throttled: NodeJS.Timeout | null = null;
  #peer: PeerInfo | null = null;
  #version = 1;
  #short = false;

  constructor(socket: Duplex, options: LinkOptions) {
    this.name = options.name;
    this.encrypted = options.encrypted ?? false;
    this.bytesPerSecondMax = options.bytesPerSecondMax ?? null;
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#heartbeatMs = options.heartbeatMs ?? wireHeartbeatMs;
    this.#idleMs = options.idleMs ?? wireIdleMs;
    this.#pulse = new Pulse(this.#heartbeatMs, this.#nowMs);
    this.#throttle = this.bytesPerSecondMax === null ? null : new Throttle(this.bytesPerSecondMax, this.#nowMs());
    this.closed = new Promise((resolve) => (this.#resolveClosed = resolve));
    this.#carrier = this.#owning(new Carrier(socket, this.name, this.#nowMs));
  }

  /** The other side. @throws TrmigError E_INTERNAL before the handshake. */
  get peer(): PeerInfo {
    if (this.#peer === null) throw new TrmigError('E_INTERNAL', 'the link was asked for its peer before the handshake');
    return this.#peer;
  }

  /** Bytes so far, by kind; a copy. What was sent twice counts twice. */
  get bytes(): LinkBytes {
    return this.#meter.snapshot();
  }

  /** What the link has been seen to carry, and its round trip. */
  get rates(): LinkRates {
    return this.#pulse.rates;
  }

  /** How the link has fared without a connection. */
  get outages(): OutagesSoFar {
    return this.#outages?.soFar ?? { reconnects: 0, brokenMs: 0, brokenForMs: null };
  }

  /** Whether the peer has been heard just now: what is sent next should arrive. */
  get isWell(): boolean {
    return this.#carrier !== null && this.#nowMs() - this.#carrier.heardMs < wireHeardMs;
  }

  /**
   * Sends a frame; resolves when it has been handed to the socket. Await it before making the next bulk frame: that is
   * the backpressure. While there is no connection it waits.
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

  /** Sends what waits, then closes. Resolves when the link has ended; at once when there is no connection. */
  async close(): Promise<void> {
    if (this.#closing === 'no') this.#closing = 'when empty';
    if (this.#carrier === null) this.#finish(peerGone(this.name, 'there was no connection any more'));
    this.#pump();
    await this.closed;
  }

  /** Ends the link at once; everyone who waits learns `error`. */
  destroy(error: TrmigError = new TrmigError('E_ABORTED', `the connection to ${this.name} was ended`)): void {
    this.#finish(error);
  }

  /** From now on a lost connection is waited for no longer than `ms`, one that is lost already neither; 0: not at all. */
  patience(ms: number): void {
    this.#outages?.patience(ms);
  }

  /** For the handshake: any frame. */
  transmit(frame: Frame, signal?: AbortSignal): Promise<void> {
    if (this.#ended !== null) return Promise.reject(this.#ended.error ?? peerGone(this.name, 'it is closed'));
    if (this.#closing !== 'no') return Promise.reject(peerGone(this.name, 'we are closing it'));
    if (signal?.aborted === true) return Promise.reject(aborted(signal));
    return new Promise<void>((resolve, reject) => {
      const onAbort = (): void => {
        if (this.#outbox.withdraw(waiting)) reject(aborted(signal!));
      };
      const settle = (how: () => void): void => {
        signal?.removeEventListener('abort', onAbort);
        how();
      };
      const waiting: Waiting = { frame, sent: () => settle(resolve), failed: (error) => settle(() => reject(error)) };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#outbox.put(waiting);
      this.#pump();
    });
  }

  /** For the handshake: the next frame, or null when the peer has closed in order. @throws TrmigError the link's fault. */
  receive(): Promise<Frame | null> {
    const next = this.#inbox.take();
    if (this.#carrier?.isPaused === true && !this.#inbox.isFull) this.#carrier.resume();
    return next;
  }

  /**
   * The handshake is done: only session frames of `version` from here on, and heartbeats begin.
   * @param resumption what was agreed on for a lost connection; null: the link ends with it
   */
  opened(version: number, peer: PeerInfo, resumption: Resumption | null = null): void {
    this.#version = version;
    this.#peer = peer;
    this.#short = peer.capabilities.includes(capabilities.shortFrames);
    if (resumption !== null) {
      const giveUp = (error: TrmigError | null): void => this.#finish(error);
      this.#outages = new Outages({ ...resumption, name: this.name, nowMs: this.#nowMs, giveUp });
    }
    this.#timer = setInterval(() => this.#heartbeat(), this.#heartbeatMs);
    this.#timer.unref();
    this.#begin();
  }

  /**
   * For the handshake of another connection: how many of the session's frames have come. This one, if there is one, is lost.
   * @param theirs how many of our frames the peer says it has, if it has said so
   * @throws TrmigError E_WIRE_GARBAGE when that cannot be; then nothing is lost
   */
  interrupt(theirs?: number): number {
    if (theirs !== undefined) this.#retained.acknowledge(theirs);
    this.#lost(peerGone(this.name, 'it was made anew'));
    return this.#received;
  }

  /**
   * Goes on over the connection on which `fresh` has made its handshake; `theirs`: how many of our frames the peer has.
   * @throws TrmigError E_WIRE_GARBAGE when that cannot be; the link's fault when it has ended
   */
  adopt(fresh: Link, theirs: number): void {
    const carrier = fresh.#carrier;
    if (this.#ended !== null || this.#outages === null || carrier === null) throw peerGone(this.name, 'it is closed');
    this.#retained.acknowledge(theirs);
    this.#retained.rewind();
    this.#meter.add(fresh.#meter);
    this.#carrier = this.#owning(carrier);
    fresh.#carrier = null;
    fresh.#finish(null);
    this.#outages.mended();
    if (this.#inbox.isFull) carrier.pause();
    this.#begin();
  }

  #owning(carrier: Carrier): Carrier {
    carrier.owner = {
      frame: (parsed) => this.#onFrame(parsed),
      drained: () => this.#pump(),
      lost: (error) => this.#lost(error),
      fault: (error) => this.#finish(error),
    };
    return carrier;
  }

  /** Over a connection whose handshake is done. */
  #begin(): void {
    this.#pulse.restart();
    this.#pump();
    this.#heartbeat();
    this.#carrier?.open(this.#version);
  }

  #onFrame(parsed: ParsedFrame): void {
    const { frame, bytes } = parsed;
    this.#meter.received[FRAME_KINDS[frame.kind].bytes] += bytes;
    switch (frame.kind) {
      case 'ping':
        this.#say({ kind: 'pong', token: frame.token, receivedBytes: this.#carrier?.receivedBytes ?? 0 });
        return;
      case 'pong':
        this.#pulse.pong(frame, this.#carrier?.sentBytes ?? 0);
        return;
      case 'ack':
        this.#retained.acknowledge(frame.received);
        this.#pump();
        return;
      case 'bye':
        this.#finish(null);
        return;
      default:
    }
    if (this.#peer !== null) {
      this.#received++;
      this.#untoldBytes += bytes;
      if (this.#untoldBytes >= wireAckBytes) this.#acknowledge();
    }
    this.#inbox.put(parsed);
    if (this.#inbox.isFull) this.#carrier?.pause();
  }

  /** A frame of the link's own. */
  #say(frame: Frame): void {
    this.transmit(frame).catch(() => undefined);
  }

  #acknowledge(): void {
    if (this.#outages === null || this.#untoldBytes === 0) return;
    this.#untoldBytes = 0;
    this.#say({ kind: 'ack', received: this.#received });
  }

  /** Until a frame may go under the cap; Infinity: until the peer has more of what was sent. */
  #waitMs({ kind }: { readonly kind: Frame['kind'] }, again = false): number {
    const { bytes, bulk } = FRAME_KINDS[kind];
    const most = bytes === 'overhead' || again ? Infinity : bulk ? wireRetainedBytesMax : 2 * wireRetainedBytesMax;
    if (this.#retained.bytes >= most) return Infinity;
    return this.#throttle?.waitMs(bytes, this.#nowMs()) ?? 0;
  }

  /** What is left waits for the cap, or for the peer. */
  #pumpLater(waitMs: number): void {
    if (this.#throttled !== null) clearTimeout(this.#throttled);
    if (waitMs < Infinity) this.#throttled = setTimeout(() => this.#pump(), Math.ceil(waitMs));
  }

  /** Writes until the socket says that it has enough, or the cap is reached; what was lost goes first. */
  #pump(): void {
    for (let carrier = this.#carrier; carrier !== null && !carrier.isBlocked; carrier = this.#carrier) {
      const { lost } = this.#retained;
      const waitMs = lost === undefined ? 0 : this.#waitMs(lost, true);
      if (waitMs > 0) return this.#pumpLater(waitMs);
      if (lost !== undefined) {
        this.#retained.sentAgain();
        this.#write(carrier, lost);
      } else if (!this.#writeNext(carrier)) return;
    }
  }

  /** Writes a frame that has not been sent yet; false when none may go. */
  #writeNext(carrier: Carrier): boolean {
    const next = this.#outbox.take((frame) => this.#waitMs(frame) === 0);
    if (next === undefined) {
      if (this.#outbox.length > 0) this.#pumpLater(Math.min(...this.#outbox.heads.map((head) => this.#waitMs(head))));
      else if (this.#closing === 'when empty') this.#takeLeave(carrier);
      return false;
    }
    const { frame } = next;
    try {
      const encoded = { kind: frame.kind, ...encodeFrame(frame, { version: this.#version, short: this.#short }) };
      if (this.#outages !== null && isSessionFrame(frame)) this.#retained.keep(encoded);
      this.#write(carrier, encoded);
      next.sent();
    } catch (error) {
      next.failed(asTrmigError(error));
    }
    return true;
  }

  #write(carrier: Carrier, frame: RetainedFrame): void {
    const { bytes: kind } = FRAME_KINDS[frame.kind];
    this.#meter.sent[kind] += frame.bytes;
    this.#throttle?.sent(kind, frame.bytes, this.#nowMs());
    carrier.write(frame);
  }

  /** All is said; the peer closes its end too. */
  #takeLeave(carrier: Carrier): void {
    this.#closing = 'said';
    if (this.#outages !== null) this.#write(carrier, bye(this.#short));
    carrier.finish();
  }

  #heartbeat(): void {
    if (this.#carrier === null) return;
    const silentMs = this.#pulse.silenceMs(this.#carrier);
    if (silentMs > this.#idleMs) {
      this.#lost(peerGone(this.name, `nothing was heard for ${Math.round(silentMs)} ms`));
      return;
    }
    this.#acknowledge();
    const ping = this.#pulse.ping();
    if (ping !== null) this.#say(ping);
  }

  /** The connection is gone; null: it ended between two frames. */
  #lost(error: TrmigError | null): void {
    const carrier = this.#carrier;
    if (carrier === null) return;
    this.#carrier = null;
    if (error === null) carrier.end();
    else carrier.destroy();
    if (this.#outages === null || this.#closing !== 'no') return this.#finish(error);
    this.#untoldBytes = 0;
    this.#outbox.drop((frame) => !isSessionFrame(frame)); // They were about that connection.
    this.#outages.begin(error);
  }

  #finish(error: TrmigError | null): void {
    if (this.#ended !== null) return;
    this.#ended = { error };
    this.#outages?.end();
    if (this.#timer !== null) clearInterval(this.#timer);
    if (this.#throttled !== null) clearTimeout(this.#throttled);
    this.#outbox.fail(error ?? peerGone(this.name, 'it is closed'));
    this.#inbox.end(error);
    if (error === null) this.#carrier?.end();
    else if (this.#outages === null) this.#carrier?.destroy();
    else this.#carrier?.leave(bye(this.#short)); // Else the peer would wait for us.
    this.#carrier = null;
    this.#resolveClosed(error);
  }
}

const bye = (short: boolean): RetainedFrame => ({ kind: 'bye', ...encodeFrame({ kind: 'bye' }, { short }) });

function aborted(signal: AbortSignal): TrmigError {
  const reason: unknown = signal.reason;
  return reason instanceof TrmigError
    ? reason
    : new TrmigError('E_ABORTED', 'sending was cancelled', { cause: reason });
}
