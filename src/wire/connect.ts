// How a connection comes about: TCP, TLS (secure.ts), then the handshake, all within one time limit. A refusal says what
// mends it on either side: both versions, or whose key is to be trusted where.
// Invariants: whatever a stranger sends to the listening port costs it its connection and us nothing else; a peer that is not
// trusted is told so and nothing more.

import { createServer, connect as connectSocket, type AddressInfo, type Socket } from 'node:net';
import { TrmigError, asTrmigError } from '../errors.js';
import { wireHandshakeMs, wireHandshakesMax } from '../limits.js';
import type { RefuseFrame } from './frames.js';
import { Link, type LinkOptions, type PeerInfo } from './link.js';
import { protocolVersionMax, protocolVersionMin } from './parser.js';
import { encrypts, secureAnswer, secureCall, withoutKeys, type Secured, type Security } from './secure.js';

/** What we say of ourselves, and the versions we speak (the whole range unless a test says otherwise). */
export interface Identity extends PeerInfo {
  readonly versionMin?: number;
  readonly versionMax?: number;
}

export interface ConnectOptions {
  readonly identity: Identity;
  /** Off loopback nothing can be connected to without. */
  readonly security?: Security;
  readonly signal?: AbortSignal;
  /** For TCP, TLS and handshake together. */
  readonly timeoutMs?: number;
  readonly link?: Omit<LinkOptions, 'name' | 'encrypted'>;
}

const speaks = (identity: Identity): { min: number; max: number } => ({
  min: identity.versionMin ?? protocolVersionMin,
  max: identity.versionMax ?? protocolVersionMax,
});

/**
 * Connects to a listening trmig.
 * @throws TrmigError E_CONNECT (unknown host, refused, timeout), E_TLS, E_UNTRUSTED, E_KEY_EXPIRED, E_KEYS_MISSING, E_KEYS,
 * E_WIRE_VERSION, E_PEER_REFUSED, E_ABORTED, or a fault of the link.
 */
export async function connect(host: string, port: number, options: ConnectOptions): Promise<Link> {
  const name = `${host}:${port}`;
  const timeoutMs = options.timeoutMs ?? wireHandshakeMs;
  const deadline = AbortSignal.timeout(timeoutMs);
  const signal = options.signal === undefined ? deadline : AbortSignal.any([deadline, options.signal]);
  const reason = (): TrmigError =>
    options.signal?.aborted === true
      ? new TrmigError('E_ABORTED', `connecting to ${name} was cancelled`, { cause: options.signal.reason })
      : new TrmigError('E_CONNECT', `${name} did not answer within ${timeoutMs} ms`, { facts: { host, port } });
  const socket = await dial(host, port, signal, reason);
  const { identity, security = withoutKeys } = options;
  const { stream, encrypted, objection } = await secured(socket, signal, reason, () =>
    secureCall(socket, security, { peer: name, host: identity.host }),
  );
  const link = new Link(stream, { ...options.link, name, encrypted });
  await guarded(link, signal, reason, () => (objection === null ? greet(link, identity) : refuse(link, objection)));
  return link;
}

async function dial(host: string, port: number, signal: AbortSignal, reason: () => TrmigError): Promise<Socket> {
  if (signal.aborted) throw reason();
  const socket = connectSocket({ host, port, noDelay: true });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', (cause) => {
        reject(new TrmigError('E_CONNECT', `${host}:${port}: ${cause.message}`, { cause, facts: { host, port } }));
      });
      signal.addEventListener('abort', () => reject(reason()), { once: true });
    });
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/** Runs one side of TLS; whatever goes wrong, or `signal`, ends the connection. */
async function secured(
  socket: Socket,
  signal: AbortSignal,
  reason: () => TrmigError,
  run: () => Promise<Secured>,
): Promise<Secured> {
  let onAbort = (): void => undefined;
  const cancelled = new Promise<never>((_, reject) => (onAbort = () => reject(reason())));
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    if (signal.aborted) throw reason();
    return await Promise.race([run(), cancelled]);
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Runs one side of a handshake; whatever goes wrong, or `signal`, ends the link. */
async function guarded(
  link: Link,
  signal: AbortSignal,
  reason: () => TrmigError,
  handshake: () => Promise<void>,
): Promise<void> {
  const onAbort = (): void => link.destroy(reason());
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    if (signal.aborted) throw reason();
    await handshake();
  } catch (error) {
    link.destroy(asTrmigError(error));
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

async function greet(link: Link, identity: Identity): Promise<void> {
  const { min, max } = speaks(identity);
  const { trmig, host, capabilities } = identity;
  await link.transmit({ kind: 'hello', versionMin: min, versionMax: max, trmig, host, capabilities });
  const reply = await link.receive();
  if (reply === null) throw new TrmigError('E_PEER_GONE', `${link.name} closed the connection without a word`);
  if (reply.kind === 'refuse') throw refusal(link, reply);
  if (reply.kind !== 'welcome')
    throw new TrmigError('E_WIRE_GARBAGE', `${link.name} answered hello with ${reply.kind}`);
  if (reply.version < min || reply.version > max) {
    const theirs = `trmig ${reply.trmig} on ${reply.host} chose protocol version ${reply.version}`;
    throw new TrmigError('E_WIRE_VERSION', `${theirs}, trmig ${trmig} on ${host} speaks ${min} to ${max}`);
  }
  link.opened(reply.version, { trmig: reply.trmig, host: reply.host, capabilities: reply.capabilities });
}

/** What a handshake may be refused for, under its own code; anything else is E_PEER_REFUSED. */
const refusalCodes = ['E_WIRE_VERSION', 'E_TLS', 'E_UNTRUSTED', 'E_KEY_EXPIRED'] as const;

function refusal(link: Link, frame: RefuseFrame): TrmigError {
  const code = refusalCodes.find((one) => one === frame.code) ?? 'E_PEER_REFUSED';
  const facts = { peer: link.name, code: frame.code };
  return new TrmigError(code, `${link.name} refused: ${frame.message}`, { hint: frame.hint, facts });
}

/** Tells the other side why it is not spoken to. @throws the same error, always */
async function refuse(link: Link, error: TrmigError): Promise<never> {
  const { code, message, hint } = error;
  await link.transmit({ kind: 'refuse', code, message, hint });
  await link.close();
  throw error;
}

/** A listening trmig. */
export interface Listener {
  readonly port: number;
  readonly address: string;
  /** Stops listening. Links that are open stay so. */
  close(): Promise<void>;
}

export interface ListenOptions {
  readonly identity: Identity;
  /** Off loopback nobody can be listened to without. */
  readonly security?: Security;
  /** Called for each peer that has passed the handshake. What it throws ends that link only. */
  readonly onLink: (link: Link) => void | Promise<void>;
  /** Told of each stranger or misfit; for a log. */
  readonly onRefused?: (error: TrmigError) => void;
  /** Stops listening. */
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
  readonly link?: Omit<LinkOptions, 'name' | 'encrypted'>;
}

/**
 * Listens for peers. Port 0 lets the system choose.
 * @throws TrmigError E_LISTEN when the address cannot be had; E_KEYS_MISSING, E_KEYS when this host could admit nobody there.
 */
export async function listen(host: string, port: number, options: ListenOptions): Promise<Listener> {
  let handshakes = 0;
  const server = createServer({ noDelay: true }, (socket) => {
    if (handshakes >= wireHandshakesMax) {
      socket.destroy();
      return;
    }
    handshakes++;
    void admit(socket, options).finally(() => handshakes--);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      reject(new TrmigError('E_LISTEN', `${host}:${port}: ${cause.message}`, { cause, facts: { host, port } }));
    });
    server.listen({ host, port }, resolve);
  });
  // Later errors (no descriptors left) concern single connections: the listener goes on.
  server.on('error', (error) => options.onRefused?.(asTrmigError(error)));
  const close = (): Promise<void> => new Promise((resolve) => void server.close(() => resolve()));
  options.signal?.addEventListener('abort', () => void close(), { once: true });
  if (options.signal?.aborted === true) void close();
  const bound = server.address() as AddressInfo;
  const { security = withoutKeys } = options;
  if (encrypts(security, bound.address)) {
    await security.credentials().catch((error: unknown) => {
      void close();
      throw error;
    });
  }
  return {
    port: bound.port,
    address: bound.address,
    // Open links keep the server's close callback waiting; who stops listening does not wait for them.
    close: () => {
      void close();
      return Promise.resolve();
    },
  };
}

/** Handshake with a caller; never rejects. */
async function admit(socket: Socket, options: ListenOptions): Promise<void> {
  const name = `${socket.remoteAddress ?? 'unknown'}:${socket.remotePort ?? 0}`;
  const timeoutMs = options.timeoutMs ?? wireHandshakeMs;
  const reason = (): TrmigError => new TrmigError('E_CONNECT', `${name} did not say hello within ${timeoutMs} ms`);
  const deadline = AbortSignal.timeout(timeoutMs);
  const { identity, security = withoutKeys } = options;
  try {
    const { stream, encrypted, objection } = await secured(socket, deadline, reason, () =>
      secureAnswer(socket, security, { peer: name, host: identity.host }),
    );
    const link = new Link(stream, { ...options.link, name, encrypted });
    await guarded(link, deadline, reason, () => welcome(link, identity, objection));
    Promise.resolve()
      .then(() => options.onLink(link))
      .catch((error: unknown) => link.destroy(asTrmigError(error)));
  } catch (error) {
    options.onRefused?.(asTrmigError(error));
  }
}

/** Hears the caller's hello and answers it. A refusal comes after the hello too: sent before, it could be lost with it. */
async function welcome(link: Link, identity: Identity, objection: TrmigError | null): Promise<void> {
  const hello = await link.receive();
  if (hello === null) throw new TrmigError('E_PEER_GONE', `${link.name} closed the connection without a word`);
  if (hello.kind === 'refuse') throw refusal(link, hello);
  if (objection !== null) return refuse(link, objection);
  if (hello.kind !== 'hello')
    throw new TrmigError('E_WIRE_GARBAGE', `${link.name} began with ${hello.kind}, not hello`);
  const { min, max } = speaks(identity);
  const version = Math.min(max, hello.versionMax);
  if (version < min || version < hello.versionMin) {
    const ours = `trmig ${identity.trmig} on ${identity.host} speaks protocol ${min} to ${max}`;
    const theirs = `trmig ${hello.trmig} on ${hello.host} speaks ${hello.versionMin} to ${hello.versionMax}`;
    const older = hello.versionMax < min ? hello.host : identity.host;
    const hint = `Upgrade trmig on ${older}.`;
    return refuse(link, new TrmigError('E_WIRE_VERSION', `${ours}, ${theirs}`, { hint }));
  }
  const { trmig, host, capabilities } = identity;
  await link.transmit({ kind: 'welcome', version, trmig, host, capabilities });
  link.opened(version, { trmig: hello.trmig, host: hello.host, capabilities: hello.capabilities });
}
