// What keeps a connection from others: TLS 1.3, both sides with a key, each trusting exactly the certificates it was given.
//
//   who is at the other end   what happens
//   loopback                  plain, unless asked otherwise: whoever reads it there owns this host already
//   elsewhere                 TLS, unless both sides were told to do without
//
// Invariants:
// - Until a peer's certificate was found among the trusted ones and in date, nothing is sent to it but a hello or a refusal.
// - Keys are read anew for each connection: whom a host trusts counts from the next one on.
// - TLS proves that the peer has the key of the certificate it shows; whether that one is trusted is decided here, by its
//   digest, and by nothing else: no authority, no name. The date on which it begins is not looked at, as hosts' clocks differ.

import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket, connect as connectTls, createSecureContext, type SecureContext } from 'node:tls';
import { TrmigError } from '../errors.js';
import { certificateOf, dayOf, type Certificate } from './certificate.js';

/** A host that is trusted, under the name that it has here. */
export interface TrustedHost {
  readonly name: string;
  readonly certificate: Certificate;
}

/** This host's key, and whom it trusts. */
export interface Credentials {
  /** PEM. */
  readonly privateKey: string;
  readonly certificate: Certificate;
  readonly trusted: readonly TrustedHost[];
}

export interface Security {
  /** true: never encrypt; false: always; undefined: encrypt unless the other end is on loopback. */
  readonly plaintext?: boolean | undefined;
  /** @throws TrmigError E_KEYS_MISSING, E_KEYS */
  readonly credentials: () => Promise<Credentials>;
  /** Milliseconds since 1970; the host's clock when left out. */
  readonly nowMs?: () => number;
}

/** Without keys nothing but loopback can be talked to. */
export const withoutKeys: Security = {
  credentials: () => Promise.reject(new TrmigError('E_KEYS_MISSING', 'no keys were given, and the link is not safe')),
};

/** A connection that may be spoken on: in full, or, with an objection, only to tell the other side why not. */
export interface Secured {
  readonly stream: Duplex;
  readonly encrypted: boolean;
  /** Of the certificate that the other end has the key of; null for none. */
  readonly fingerprint: string | null;
  readonly objection: TrmigError | null;
}

const plain = { encrypted: false, fingerprint: null, objection: null } as const;

/** The two ends of a connection, for what is said of it. */
export interface Ends {
  /** The other end's address. */
  readonly peer: string;
  /** What this host calls itself. */
  readonly host: string;
}

const loopback = /^(::ffff:)?127\.|^::1$/;

/** Whether connections with this address are encrypted. */
export function encrypts(security: Security, address: string): boolean {
  return !(security.plaintext ?? loopback.test(address));
}

/**
 * Secures a connection that this host has made.
 * @throws TrmigError E_KEYS_MISSING, E_KEYS, E_KEY_EXPIRED before a byte was sent; E_TLS
 */
export async function secureCall(socket: Socket, security: Security, ends: Ends): Promise<Secured> {
  if (!encrypts(security, socket.remoteAddress ?? '')) return { ...plain, stream: socket };
  const { credentials, context } = await ready(security);
  const stream = connectTls({ socket, secureContext: context, ...judgedHere });
  await handshake(stream, 'secureConnect', ends);
  return { stream, encrypted: true, ...judge(stream, credentials.trusted, security, ends) };
}

/**
 * Secures a connection that another host has made.
 * @throws TrmigError E_TLS, E_PEER_GONE, E_KEYS_MISSING, E_KEYS, E_KEY_EXPIRED
 */
export async function secureAnswer(socket: Socket, security: Security, ends: Ends): Promise<Secured> {
  const wanted = encrypts(security, socket.remoteAddress ?? '');
  const offered = (await firstByte(socket, ends.peer)) === tlsHandshakeRecord;
  if (!wanted && !offered) return { ...plain, stream: socket };
  if (!offered) return { ...plain, stream: socket, objection: unencrypted(ends) };
  if (!wanted) {
    throw new TrmigError('E_TLS', `${ends.peer} encrypts the connection, and this side was told to do without`);
  }
  const { credentials, context } = await ready(security);
  const stream = new TLSSocket(socket, { isServer: true, requestCert: true, secureContext: context, ...judgedHere });
  await handshake(stream, 'secure', ends);
  return { stream, encrypted: true, ...judge(stream, credentials.trusted, security, ends) };
}

/** Node would end a connection to a peer that no authority vouches for without telling it why: `judge` decides instead. */
const judgedHere = { rejectUnauthorized: false } as const;
/** The first byte of what a TLS client sends. */
const tlsHandshakeRecord = 22;

async function ready(security: Security): Promise<{ credentials: Credentials; context: SecureContext }> {
  const credentials = await security.credentials();
  const { privateKey, certificate } = credentials;
  if (certificate.expiresMs <= nowOf(security)) {
    throw new TrmigError('E_KEY_EXPIRED', `this host's key has expired on ${dayOf(certificate.expiresMs)}`, {
      hint: 'Run: trmig keys init --renew; then on each host that trusts this one: trmig keys trust - --replace',
      facts: { expired: dayOf(certificate.expiresMs) },
    });
  }
  const versions = { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' } as const;
  return { credentials, context: createSecureContext({ key: privateKey, cert: certificate.pem, ...versions }) };
}

const nowOf = (security: Security): number => (security.nowMs ?? Date.now)();

function handshake(stream: TLSSocket, done: 'secure' | 'secureConnect', { peer }: Ends): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (cause?: Error): void => {
      stream.destroy();
      const why = cause === undefined ? 'it closed the connection' : cause.message;
      reject(new TrmigError('E_TLS', `no TLS with ${peer}: ${why}`, { cause, facts: { peer } }));
    };
    stream.once(done, () => {
      stream.removeListener('error', fail).removeListener('close', fail);
      resolve();
    });
    stream.once('error', fail);
    stream.once('close', () => fail());
  });
}

/** Who the peer is, and whether it is to be spoken to. */
function judge(
  stream: TLSSocket,
  trusted: readonly TrustedHost[],
  security: Security,
  ends: Ends,
): Pick<Secured, 'fingerprint' | 'objection'> {
  const shown = stream.getPeerX509Certificate();
  const certificate = shown === undefined ? null : certificateOf(shown);
  const objection = objectionTo(certificate, trusted, nowOf(security), ends);
  return { fingerprint: certificate?.fingerprint ?? null, objection };
}

/** Why a peer that has proved to have the key of `shown` is not to be spoken to; null when it is. */
export function objectionTo(
  shown: Certificate | null,
  trusted: readonly TrustedHost[],
  nowMs: number,
  { peer, host }: Ends,
): TrmigError | null {
  if (shown === null) return new TrmigError('E_UNTRUSTED', `${peer} showed no key to ${host}`);
  const { fingerprint, expiresMs } = shown;
  const facts = { peer, fingerprint };
  const known = trusted.find(({ certificate }) => certificate.fingerprint === fingerprint);
  if (known === undefined) {
    return new TrmigError('E_UNTRUSTED', `${host} does not trust the key of ${peer} (SHA-256 ${fingerprint})`, {
      hint: `If that host is to be trusted, run on it: trmig keys show | ssh ${host} trmig keys trust -`,
      facts,
    });
  }
  if (expiresMs > nowMs) return null;
  return new TrmigError('E_KEY_EXPIRED', `the key of ${known.name} (${peer}) has expired on ${dayOf(expiresMs)}`, {
    hint: `Run on it: trmig keys init --renew; trmig keys show | ssh ${host} trmig keys trust - --name ${known.name} --replace`,
    facts: { ...facts, name: known.name, expired: dayOf(expiresMs) },
  });
}

function unencrypted({ peer, host }: Ends): TrmigError {
  return new TrmigError('E_TLS', `${peer} does not encrypt the connection, and ${host} takes no other`, {
    hint: 'Leave --plaintext out; to a port that is forwarded from loopback, say --no-plaintext.',
    facts: { peer },
  });
}

/** The first byte of a connection, which stays in it. @throws TrmigError E_PEER_GONE */
function firstByte(socket: Socket, peer: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const ends = ['end', 'close', 'error'] as const;
    const settle = (): void => {
      socket.removeListener('readable', look);
      for (const event of ends) socket.removeListener(event, gone);
    };
    const gone = (cause?: unknown): void => {
      settle();
      socket.destroy();
      const message = `${peer} closed the connection without a word`;
      reject(new TrmigError('E_PEER_GONE', message, cause instanceof Error ? { cause } : {}));
    };
    const look = (): void => {
      const chunk = socket.read() as Buffer | null;
      if (chunk === null) return;
      settle();
      socket.unshift(chunk);
      resolve(chunk[0]!);
    };
    socket.on('readable', look);
    for (const event of ends) socket.once(event, gone);
  });
}
