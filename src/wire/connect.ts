// How a connection comes about: TCP, TLS (secure.ts), then the handshake (handshake.ts), all within one time limit; and another
// one, when a link that may go on has lost it.
// Invariants: whatever a stranger sends to the listening port costs it its connection and us nothing else; a link goes on
// only with whom it began with.

import { createServer, connect as connectSocket, type AddressInfo, type Socket } from 'node:net';
import { TrmigError, asTrmigError } from '../errors.js';
import { reconnectMsMax, wireHandshakeMs, wireHandshakesMax } from '../limits.js';
import { capabilities } from './capabilities.js';
import { greet, guarded, hear, infoOf, refuse, welcome, type Identity } from './handshake.js';
import { Link, type LinkOptions, type PeerInfo } from './link.js';
import { OpenLinks, newLinkId } from './open-links.js';
import { encrypts, secureAnswer, secureCall, withoutKeys, type Secured, type Security } from './secure.js';

export type { Identity } from './handshake.js';

export interface ConnectOptions {
  readonly identity: Identity;
  /** Off loopback nothing can be connected to without. */
  readonly security?: Security;
  readonly signal?: AbortSignal;
  /** For TCP, TLS and handshake together. */
  readonly timeoutMs?: number;
  /** How long a connection that is lost later is to be made again, ms; 0 or left out: the link ends with it. */
  readonly reconnectMs?: number | undefined;
  readonly link?: Omit<LinkOptions, 'name' | 'encrypted'>;
}

/**
 * Connects to a listening trmig.
 * @throws TrmigError E_CONNECT (unknown host, refused, timeout), E_TLS, E_UNTRUSTED, E_KEY_EXPIRED, E_KEYS_MISSING, E_KEYS,
 * E_WIRE_VERSION, E_PEER_REFUSED, E_ABORTED, or a fault of the link.
 */
export async function connect(host: string, port: number, options: ConnectOptions): Promise<Link> {
  const { identity, timeoutMs = wireHandshakeMs } = options;
  const reconnectMs = Math.floor(Math.min(options.reconnectMs ?? 0, reconnectMsMax));
  const id = reconnectMs > 0 && canResume(identity) ? newLinkId() : null;
  let first: string | null = null;

  const deadline = AbortSignal.timeout(timeoutMs);
  const signal = options.signal === undefined ? deadline : AbortSignal.any([deadline, options.signal]);
  const reason = (): TrmigError =>
    options.signal?.aborted === true
      ? new TrmigError('E_ABORTED', `connecting to ${host}:${port} was cancelled`, { cause: options.signal.reason })
      : new TrmigError('E_CONNECT', `${host}:${port} did not answer within ${timeoutMs} ms`, { facts: { host, port } });
  return call({ host, port, options, signal, reason }, async (link, fingerprint) => {
    first = fingerprint;
    const said = await greet(link, identity, id === null ? null : { id, reconnectMs, received: null });
    const lives = id !== null && canResume(said);
    const redial = (again: AbortSignal): Promise<void> => goOn(link, id!, again);
    link.opened(said.version, infoOf(said), lives ? { reconnectMs, redial } : null);
  });

  async function goOn(link: Link, id: string, signal: AbortSignal): Promise<void> {
    const reason = (): TrmigError => new TrmigError('E_CONNECT', `${host}:${port} does not answer`);
    await call({ host, port, options, signal, reason }, async (fresh, fingerprint) => {
      if (fingerprint !== first) throw new TrmigError('E_UNTRUSTED', `${host}:${port} shows another key than before`);
      const said = await greet(fresh, identity, { id, reconnectMs, received: link.interrupt() });
      link.adopt(fresh, said.received ?? 0);
    });
  }
}

const canResume = (said: PeerInfo): boolean => said.capabilities.includes(capabilities.resumeLink);

interface Call {
  readonly host: string;
  readonly port: number;
  readonly options: ConnectOptions;
  readonly signal: AbortSignal;
  /** Why `signal` has fired. */
  readonly reason: () => TrmigError;
}

/** Makes a connection and has `handshake` speak on it; the other end's key is trusted, or there is none. */
async function call(
  { host, port, options, signal, reason }: Call,
  handshake: (link: Link, fingerprint: string | null) => Promise<void>,
): Promise<Link> {
  const name = `${host}:${port}`;
  const socket = await dial(host, port, signal, reason);
  const { identity, security = withoutKeys } = options;
  const { stream, encrypted, fingerprint, objection } = await secured(socket, signal, reason, () =>
    secureCall(socket, security, { peer: name, host: identity.host }),
  );
  const link = new Link(stream, { ...options.link, name, encrypted });
  await guarded(link, signal, reason, () =>
    objection === null ? handshake(link, fingerprint) : refuse(link, objection),
  );
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
  const open = new OpenLinks();
  const server = createServer({ noDelay: true }, (socket) => {
    if (handshakes >= wireHandshakesMax) {
      socket.destroy();
      return;
    }
    handshakes++;
    void admit(socket, options, open).finally(() => handshakes--);
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
async function admit(socket: Socket, options: ListenOptions, open: OpenLinks): Promise<void> {
  const name = `${socket.remoteAddress ?? 'unknown'}:${socket.remotePort ?? 0}`;
  const timeoutMs = options.timeoutMs ?? wireHandshakeMs;
  const reason = (): TrmigError => new TrmigError('E_CONNECT', `${name} did not say hello within ${timeoutMs} ms`);
  const deadline = AbortSignal.timeout(timeoutMs);
  const { identity, security = withoutKeys } = options;
  try {
    const secure = await secured(socket, deadline, reason, () =>
      secureAnswer(socket, security, { peer: name, host: identity.host }),
    );
    const link = new Link(secure.stream, { ...options.link, name, encrypted: secure.encrypted });
    const isNew = await guarded(link, deadline, reason, () => answer(link, identity, secure, open));
    if (!isNew) return;
    Promise.resolve()
      .then(() => options.onLink(link))
      .catch((error: unknown) => link.destroy(asTrmigError(error)));
  } catch (error) {
    options.onRefused?.(asTrmigError(error));
  }
}

/** Hears the caller's hello and answers it. Whether that opened a link: else one goes on. */
async function answer(
  link: Link,
  identity: Identity,
  { fingerprint, objection }: Secured,
  open: OpenLinks,
): Promise<boolean> {
  const hello = await hear(link, identity, objection);
  const claim = canResume(identity) ? (hello.link ?? null) : null;
  if (claim !== null && claim.received !== null) {
    const before = open.find(claim.id, fingerprint);
    if (before === null) return refuse(link, noSuchLink());
    await welcome(link, identity, hello.version, before.interrupt(claim.received));
    before.adopt(link, claim.received);
    return false;
  }
  if (claim !== null && open.has(claim.id)) {
    throw new TrmigError('E_WIRE_GARBAGE', `${link.name} names its link as another one is named`);
  }
  await welcome(link, identity, hello.version);
  const reconnectMs = Math.min(claim?.reconnectMs ?? 0, reconnectMsMax);
  link.opened(hello.version, infoOf(hello), reconnectMs > 0 ? { reconnectMs, redial: null } : null);
  if (claim !== null && reconnectMs > 0) open.add(claim.id, link, fingerprint);
  return true;
}

const noSuchLink = (): TrmigError =>
  new TrmigError('E_LINK_GONE', 'there is no such link here any more', { hint: 'Run the command again.' });
