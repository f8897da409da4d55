// The first words of a connection: who speaks, in which version, and whether it goes on with a link that has lost its
// connection. A refusal says what mends it on either side: both versions, or whose key is to be trusted where.
// Invariant: a peer that is not trusted is told so and nothing more.

import { TrmigError, asTrmigError } from '../errors.js';
import type { HelloFrame, LinkClaim, RefuseFrame, WelcomeFrame } from './frames.js';
import type { Link, PeerInfo } from './link.js';
import { protocolVersionMax, protocolVersionMin } from './parser.js';

/** What we say of ourselves, and the versions we speak (the whole range unless a test says otherwise). */
export interface Identity extends PeerInfo {
  readonly versionMin?: number;
  readonly versionMax?: number;
}

const speaks = (identity: Identity): { min: number; max: number } => ({
  min: identity.versionMin ?? protocolVersionMin,
  max: identity.versionMax ?? protocolVersionMax,
});

/** Runs one side of a handshake; whatever goes wrong, or `signal`, ends the link. */
export async function guarded<Value>(
  link: Link,
  signal: AbortSignal,
  reason: () => TrmigError,
  handshake: () => Promise<Value>,
): Promise<Value> {
  const onAbort = (): void => link.destroy(reason());
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    if (signal.aborted) throw reason();
    return await handshake();
  } catch (error) {
    link.destroy(asTrmigError(error));
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** The caller's first words, and the answer. @throws TrmigError E_PEER_GONE, E_WIRE_*, or the refusal's code */
export async function greet(link: Link, identity: Identity, claim: LinkClaim | null): Promise<WelcomeFrame> {
  const { min, max } = speaks(identity);
  const { trmig, host, capabilities } = identity;
  const hello = { kind: 'hello', versionMin: min, versionMax: max, trmig, host, capabilities } as const;
  await link.transmit(claim === null ? hello : { ...hello, link: claim });
  const reply = await link.receive();
  if (reply === null) throw new TrmigError('E_PEER_GONE', `${link.name} closed the connection without a word`);
  if (reply.kind === 'refuse') throw refusal(link, reply);
  if (reply.kind !== 'welcome')
    throw new TrmigError('E_WIRE_GARBAGE', `${link.name} answered hello with ${reply.kind}`);
  if (reply.version < min || reply.version > max) {
    const theirs = `trmig ${reply.trmig} on ${reply.host} chose protocol version ${reply.version}`;
    throw new TrmigError('E_WIRE_VERSION', `${theirs}, trmig ${trmig} on ${host} speaks ${min} to ${max}`);
  }
  return reply;
}

/** The caller's hello, with the version that both speak. A refusal comes after the hello too: sent before, it could be lost with it. */
export async function hear(
  link: Link,
  identity: Identity,
  objection: TrmigError | null,
): Promise<HelloFrame & { readonly version: number }> {
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
  return { ...hello, version };
}

/** @param received of a link that goes on: how many of the session's frames have come */
export function welcome(link: Link, identity: Identity, version: number, received?: number): Promise<void> {
  const { trmig, host, capabilities } = identity;
  const had = received === undefined ? {} : { received };
  return link.transmit({ kind: 'welcome', version, trmig, host, capabilities, ...had });
}

/** What a peer says of itself, without the rest of its words. */
export const infoOf = ({ trmig, host, capabilities }: PeerInfo): PeerInfo => ({ trmig, host, capabilities });

/** What a handshake may be refused for, under its own code; anything else is E_PEER_REFUSED. */
const refusalCodes = ['E_WIRE_VERSION', 'E_TLS', 'E_UNTRUSTED', 'E_KEY_EXPIRED', 'E_LINK_GONE'] as const;

function refusal(link: Link, frame: RefuseFrame): TrmigError {
  const code = refusalCodes.find((one) => one === frame.code) ?? 'E_PEER_REFUSED';
  const facts = { peer: link.name, code: frame.code };
  return new TrmigError(code, `${link.name} refused: ${frame.message}`, { hint: frame.hint, facts });
}

/** Tells the other side why it is not spoken to. @throws the same error, always */
export async function refuse(link: Link, error: TrmigError): Promise<never> {
  const { code, message, hint } = error;
  await link.transmit({ kind: 'refuse', code, message, hint });
  await link.close();
  throw error;
}
