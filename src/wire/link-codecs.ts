// The bodies of the frames that a link speaks by itself: what opens it, keeps it alive, and ends it.

import * as limits from '../limits.js';
import { safeNumber } from '../schema/bounded.js';
import * as wire from '../schema/wire.js';
import { bare, clipped, codec, hex, many, strings, text, u64, type Codec } from './field.js';
import type { LinkClaim } from './frames.js';

const capabilitiesOf = (table: { capabilitiesLength(): number; capabilities(index: number): string }): string[] =>
  many(table.capabilitiesLength(), limits.wireCapabilitiesMax, 'capabilities', (index) =>
    text(table.capabilities(index), 'capability'),
  );

function claimOf(t: wire.Hello): LinkClaim {
  const id = hex(t.link(), 'link');
  if (id.length !== linkIdDigits) throw new RangeError(`a link's name has ${id.length} digits`);
  return {
    id,
    reconnectMs: t.reconnectMs(),
    received: t.resumes() ? safeNumber(t.received(), 'received frames') : null,
  };
}

/** 128 bits: not to be guessed. */
const linkIdDigits = 32;
const nothing = Buffer.alloc(0);

type LinkKind = 'hello' | 'welcome' | 'refuse' | 'ping' | 'pong' | 'ack' | 'bye';

export const LINK_CODECS: { readonly [K in LinkKind]: Codec<K> } = {
  hello: codec('hello', {
    encode: (b, f) => {
      const [trmig, host] = [b.createString(f.trmig), b.createString(f.host)];
      const capabilities = wire.Hello.createCapabilitiesVector(b, strings(b, f.capabilities));
      const { id, reconnectMs, received } = f.link ?? { id: null, reconnectMs: 0, received: null };
      const link = [id === null ? 0 : b.createString(id), reconnectMs, received !== null, u64(received ?? 0)] as const;
      return wire.Hello.createHello(b, f.versionMin, f.versionMax, trmig, host, capabilities, ...link);
    },
    root: (buffer) => wire.Hello.getRootAsHello(buffer),
    read: (t) => ({
      versionMin: t.versionMin(),
      versionMax: t.versionMax(),
      trmig: text(t.trmig(), 'trmig'),
      host: text(t.host(), 'host'),
      capabilities: capabilitiesOf(t),
      ...(t.link() !== null && { link: claimOf(t) }),
    }),
  }),
  welcome: codec('welcome', {
    encode: (b, f) => {
      const [trmig, host] = [b.createString(f.trmig), b.createString(f.host)];
      const capabilities = wire.Welcome.createCapabilitiesVector(b, strings(b, f.capabilities));
      return wire.Welcome.createWelcome(b, f.version, trmig, host, capabilities, u64(f.received ?? 0));
    },
    root: (buffer) => wire.Welcome.getRootAsWelcome(buffer),
    read: (t) => ({
      version: t.version(),
      trmig: text(t.trmig(), 'trmig'),
      host: text(t.host(), 'host'),
      capabilities: capabilitiesOf(t),
      ...(t.received() > 0n && { received: safeNumber(t.received(), 'received frames') }),
    }),
  }),
  refuse: codec('refuse', {
    encode: (b, f) => {
      const [code, message, hint] = [
        b.createString(f.code),
        b.createString(clipped(f.message)),
        b.createString(clipped(f.hint)),
      ];
      return wire.Refuse.createRefuse(b, code, message, hint);
    },
    root: (buffer) => wire.Refuse.getRootAsRefuse(buffer),
    read: (t) => ({
      code: text(t.code(), 'code'),
      message: text(t.message(), 'message'),
      hint: text(t.hint(), 'hint'),
    }),
  }),
  ping: codec('ping', {
    encode: (b, f) => wire.Ping.createPing(b, f.token, 0n),
    root: (buffer) => wire.Ping.getRootAsPing(buffer),
    read: (t) => ({ token: t.token() }),
  }),
  pong: codec('pong', {
    encode: (b, f) => wire.Ping.createPing(b, f.token, u64(f.receivedBytes)),
    root: (buffer) => wire.Ping.getRootAsPing(buffer),
    read: (t) => ({ token: t.token(), receivedBytes: safeNumber(t.receivedBytes(), 'received bytes') }),
  }),
  ack: codec('ack', {
    encode: (b, f) => wire.Ack.createAck(b, u64(f.received)),
    root: (buffer) => wire.Ack.getRootAsAck(buffer),
    read: (t) => ({ received: safeNumber(t.received(), 'received frames') }),
  }),
  bye: bare('bye', { payload: () => nothing, read: () => ({}), payloadBytesMax: 0 }),
};
