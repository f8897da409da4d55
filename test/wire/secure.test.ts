import { once } from 'node:events';
import { connect as connectSocket, createServer, type AddressInfo, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import t, { type Test } from 'tap';
import { TrmigError } from '../../src/errors.js';
import { connect, listen, type Identity, type Listener } from '../../src/wire/connect.js';
import type { SessionFrame } from '../../src/wire/frames.js';
import type { Link } from '../../src/wire/link.js';
import { encrypts, objectionTo, withoutKeys, type Credentials, type Security } from '../../src/wire/secure.js';
import { encrypted, keyOf, trusting } from './keys.js';
import { SAMPLES } from './samples.js';

const red: Identity = { trmig: '0.1.0', host: 'red', capabilities: [] };
const blue: Identity = { trmig: '0.1.0', host: 'blue', capabilities: [] };
const [redKey, blueKey, strangeKey] = (await Promise.all(['red', 'blue', 'strange'].map(keyOf))) as [
  Credentials,
  Credentials,
  Credentials,
];
const dayMs = 86_400_000;
const afterwards = (): number => redKey.certificate.expiresMs + dayMs;

interface Heard {
  readonly listener: Listener;
  readonly links: Link[];
  /** The next refusal that the listening side tells of. */
  readonly refused: Promise<TrmigError>;
}

async function hearing(t: Test, security: Security, timeoutMs?: number): Promise<Heard> {
  const links: Link[] = [];
  let tell: (error: TrmigError) => void = () => undefined;
  const refused = new Promise<TrmigError>((resolve) => (tell = resolve));
  const options = { identity: blue, security, onLink: (link: Link) => void links.push(link), onRefused: tell };
  const listener = await listen('127.0.0.1', 0, { ...options, ...(timeoutMs !== undefined && { timeoutMs }) });
  t.teardown(async () => {
    for (const link of links) link.destroy();
    await listener.close();
  });
  return { listener, links, refused };
}

async function call(t: Test, port: number, security: Security): Promise<Link | TrmigError> {
  try {
    const link = await connect('127.0.0.1', port, { identity: red, security });
    t.teardown(() => link.destroy());
    return link;
  } catch (error) {
    if (error instanceof TrmigError) return error;
    throw error;
  }
}

/** A wire between the two ends that a test can look at. */
async function tapped(t: Test, port: number): Promise<{ port: number; bytes: () => Buffer }> {
  const seen: Buffer[] = [];
  const sockets: Socket[] = [];
  const server = createServer((near) => {
    const far = connectSocket(port, '127.0.0.1');
    sockets.push(near, far);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('data', (chunk: Buffer) => (seen.push(chunk), to.write(chunk)));
      from.on('end', () => to.end());
      from.on('error', () => to.destroy());
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, bytes: () => Buffer.concat(seen) };
}

async function first(link: Link): Promise<SessionFrame | null> {
  for await (const frame of link.frames()) return frame;
  return null;
}

t.test('loopback is plain and all else encrypted, unless a person says otherwise', async (t) => {
  const addresses = [
    '127.0.0.1',
    '127.8.9.1',
    '::1',
    '::ffff:127.0.0.1',
    '10.0.0.2',
    '::ffff:10.0.0.2',
    'fe80::1',
    '0.0.0.0',
    '::',
    '',
  ];
  t.same(
    addresses.filter((address) => !encrypts(withoutKeys, address)),
    ['127.0.0.1', '127.8.9.1', '::1', '::ffff:127.0.0.1'],
  );
  t.notOk(encrypts({ ...withoutKeys, plaintext: true }, '10.0.0.2'));
  t.ok(encrypts({ ...withoutKeys, plaintext: false }, '127.0.0.1'));
});

t.test('two hosts that trust each other talk, and whoever looks on sees nothing of it', async (t) => {
  const { listener, links } = await hearing(t, encrypted(trusting(blueKey, redKey)));
  const wire = await tapped(t, listener.port);
  const near = await call(t, wire.port, encrypted(trusting(redKey, strangeKey, blueKey)));
  if (near instanceof TrmigError) throw near;
  const secret = Buffer.alloc(300_000, 'the guest’s memory');
  await near.send({ ...SAMPLES.imageChunk, compressed: secret });
  t.match(await first(links[0]!), { kind: 'imageChunk', compressed: secret });
  await links[0]!.send(SAMPLES.accept);
  t.same(await first(near), SAMPLES.accept);
  t.match([near.peer.host, links[0]!.peer.host], ['blue', 'red']);
  const seen = wire.bytes();
  t.ok(seen.length > secret.length);
  t.notOk(seen.includes('TRMG') || seen.includes('memory') || seen.includes('red'));
  t.notOk(seen.includes(redKey.certificate.fingerprint), 'nor who talks: certificates cross encrypted');
  await near.close();
  t.equal(await links[0]!.closed, null);
});

t.test('a caller that is not trusted gets no link, and both sides name the command that mends it', async (t) => {
  const { listener, links, refused } = await hearing(t, encrypted(trusting(blueKey, strangeKey)));
  const error = await call(t, listener.port, encrypted(trusting(redKey, blueKey)));
  const mends = /trmig keys show \| ssh blue trmig keys trust -/;
  t.match(error, { code: 'E_UNTRUSTED', message: /refused: blue does not trust/, hint: mends, exitCode: 77 });
  const message = new RegExp(redKey.certificate.fingerprint);
  t.match(await refused, { code: 'E_UNTRUSTED', message, hint: mends });
  t.same(links, []);
});

t.test('a listener that is not trusted hears not even a hello, but why', async (t) => {
  const { listener, links, refused } = await hearing(t, encrypted(trusting(blueKey, redKey)));
  const error = await call(t, listener.port, encrypted(trusting(redKey, strangeKey)));
  const mends = /trmig keys show \| ssh red trmig keys trust -/;
  const message = new RegExp(`red does not trust .*${blueKey.certificate.fingerprint}`);
  t.match(error, { code: 'E_UNTRUSTED', message, hint: mends });
  t.match(await refused, { code: 'E_UNTRUSTED', message: /refused: red does not trust/, hint: mends });
  t.same(links, []);
});

t.test('an expired key is refused by whoever sees it first, and never used', async (t) => {
  const good = trusting(redKey, blueKey);
  const { listener, links, refused } = await hearing(t, encrypted(trusting(blueKey, redKey)));
  const own = await call(t, listener.port, encrypted(good, afterwards));
  t.match(own, { code: 'E_KEY_EXPIRED', message: /this host's key/, hint: /trmig keys init --renew/ });
  t.match(await refused, { code: 'E_PEER_GONE' });

  // A day on which only the listener's clock is.
  const late = { ...blueKey, certificate: { ...blueKey.certificate, expiresMs: afterwards() + dayMs } };
  const there = await hearing(t, encrypted(trusting(late, redKey), afterwards));
  const told = await call(t, there.listener.port, encrypted(good));
  const hint = /trmig keys init --renew; trmig keys show \| ssh blue trmig keys trust - --name red --replace/;
  t.match(told, { code: 'E_KEY_EXPIRED', message: /the key of red .* has expired on 20/, hint });
  t.match(await there.refused, { code: 'E_KEY_EXPIRED', hint });
  t.same([...links, ...there.links], []);
});

t.test('one side plain, the other not: both say so', async (t) => {
  const safe = await hearing(t, encrypted(trusting(blueKey, redKey)));
  const plain = { ...withoutKeys, plaintext: true };
  const error = await call(t, safe.listener.port, plain);
  t.match(error, { code: 'E_TLS', message: /blue takes no other/, hint: /--plaintext/ });
  t.match(await safe.refused, { code: 'E_TLS' });

  const open = await hearing(t, plain);
  t.match(await call(t, open.listener.port, encrypted(trusting(redKey, blueKey))), {
    code: 'E_TLS',
    hint: /--plaintext/,
  });
  t.match(await open.refused, { code: 'E_TLS', message: /encrypts/ });
  t.same([...safe.links, ...open.links], []);
});

t.test('a caller without a key, one with an older TLS and one that says nothing cost a listener nothing', async (t) => {
  const security = encrypted(trusting(blueKey, redKey));
  const { listener, links, refused } = await hearing(t, security);
  const keyless = connectTls({ port: listener.port, host: '127.0.0.1', rejectUnauthorized: false });
  keyless.on('error', () => undefined);
  await once(keyless, 'secureConnect');
  t.equal(keyless.getProtocol(), 'TLSv1.3');
  keyless.write('TRMG');
  keyless.end();
  t.match(await refused, { code: 'E_PEER_GONE' }, 'it is heard to its hello, and this was none');

  const old = await hearing(t, security);
  const older = connectTls({ port: old.listener.port, host: '127.0.0.1', maxVersion: 'TLSv1.2' });
  older.on('error', () => undefined);
  t.match(await old.refused, { code: 'E_TLS' });

  const patient = await hearing(t, security, 50);
  const silent = connectSocket(patient.listener.port, '127.0.0.1');
  silent.on('error', () => undefined);
  await once(silent, 'close');
  t.match(await patient.refused, { code: 'E_CONNECT' });
  for (const socket of [keyless, older]) socket.destroy();
  t.same([...links, ...old.links, ...patient.links], []);
});

t.test('a trmig without a key of its own is told so', async (t) => {
  const { listener, refused } = await hearing(t, encrypted(trusting(blueKey, redKey)));
  const error = await call(t, listener.port, { ...withoutKeys, plaintext: false });
  t.match(error, { code: 'E_KEYS_MISSING', hint: /trmig keys init/ });
  t.match(await refused, { code: 'E_PEER_GONE' });
  const deaf = listen('127.0.0.1', 0, {
    identity: blue,
    security: { ...withoutKeys, plaintext: false },
    onLink: () => undefined,
  });
  await t.rejects(deaf, { code: 'E_KEYS_MISSING' });
});

t.test('whom a host trusts counts from the next connection on', async (t) => {
  let ours = trusting(blueKey);
  const { listener } = await hearing(t, { plaintext: false, credentials: () => Promise.resolve(ours) });
  const caller = encrypted(trusting(redKey, blueKey));
  t.match(await call(t, listener.port, caller), { code: 'E_UNTRUSTED' });
  ours = trusting(blueKey, redKey);
  t.notOk((await call(t, listener.port, caller)) instanceof TrmigError);
});

t.test('a certificate of the same name, or the same host a second time, is another certificate', async (t) => {
  const again = await keyOf('red');
  const trusted = trusting(blueKey, redKey).trusted;
  const ends = { peer: 'p', host: 'blue' };
  t.equal(objectionTo(redKey.certificate, trusted, Date.now(), ends), null);
  t.match(objectionTo(again.certificate, trusted, Date.now(), ends), { code: 'E_UNTRUSTED' });
  t.match(objectionTo(null, trusted, Date.now(), ends), { code: 'E_UNTRUSTED', message: /no key/ });
});
