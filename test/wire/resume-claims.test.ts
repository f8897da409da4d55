// Who may go on with a link: whoever has its name, and the key that it began with.
import { once } from 'node:events';
import { connect as connectSocket, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import t from 'tap';
import { listen } from '../../src/wire/connect.js';
import type { Frame } from '../../src/wire/frames.js';
import type { Link } from '../../src/wire/link.js';
import { FrameParser, encodeFrame } from '../../src/wire/parser.js';
import type { Credentials } from '../../src/wire/secure.js';
import { encrypted, keyOf, trusting } from './keys.js';
import { blue, linked, long } from './linked.js';
import { SAMPLES } from './samples.js';

const [redKey, greenKey, blueKey] = (await Promise.all(['red', 'green', 'blue'].map(keyOf))) as [
  Credentials,
  Credentials,
  Credentials,
];

/** What a listener answers to a hello on this socket. */
async function answerTo(socket: Socket, link: (typeof SAMPLES.hello)['link']): Promise<Frame> {
  socket.on('error', () => undefined);
  socket.write(encodeFrame({ ...SAMPLES.hello, ...(link && { link }) }).head);
  const [chunk] = (await once(socket, 'data')) as [Buffer];
  return [...new FrameParser().push(chunk)][0]!.frame;
}

t.test('a name that nobody has, or that is another link’s, opens nothing', async (t) => {
  const links: Link[] = [];
  const listener = await listen('127.0.0.1', 0, { identity: blue, onLink: (link) => void links.push(link) });
  t.teardown(() => (links[0]?.destroy(), listener.close()));
  const dial = (): Socket => {
    const socket = connectSocket(listener.port, '127.0.0.1');
    t.teardown(() => socket.destroy());
    return socket;
  };
  const id = 'ab'.repeat(16);
  t.match(await answerTo(dial(), { id, reconnectMs: long, received: 0 }), { kind: 'refuse', code: 'E_LINK_GONE' });
  t.match(await answerTo(dial(), { id, reconnectMs: long, received: null }), { kind: 'welcome' });
  const twice = dial();
  twice.on('error', () => undefined);
  twice.write(encodeFrame({ ...SAMPLES.hello, link: { id, reconnectMs: long, received: null } }).head);
  await once(twice.resume(), 'close');
  const ahead = dial();
  ahead.on('error', () => undefined);
  ahead.write(encodeFrame({ ...SAMPLES.hello, link: { id, reconnectMs: long, received: 7 } }).head);
  await once(ahead.resume(), 'close');
  t.equal(links.length, 1);
  t.equal(links[0]!.outages.reconnects, 0, 'nor does one that has what was never sent');
  t.match(await answerTo(dial(), { id, reconnectMs: long, received: 0 }), { kind: 'welcome' });
  t.equal(links[0]!.outages.reconnects, 1);
});

t.test('a damaged frame ends a link as ever: it does not go on', async (t) => {
  let admitted: (link: Link) => void;
  const admission = new Promise<Link>((resolve) => (admitted = resolve));
  const listener = await listen('127.0.0.1', 0, { identity: blue, onLink: (link) => admitted(link) });
  const [socket, again] = [connectSocket(listener.port, '127.0.0.1'), connectSocket(listener.port, '127.0.0.1')];
  t.teardown(() => (socket.destroy(), again.destroy(), listener.close()));
  const id = 'ef'.repeat(16);
  await answerTo(socket, { id, reconnectMs: long, received: null });
  const { head } = encodeFrame(SAMPLES.query);
  head[head.length - 1]! ^= 0x10;
  socket.write(head);
  const link = await admission;
  t.match(await link.closed, { code: 'E_WIRE_CHECKSUM' });
  await once(socket, 'close');
  t.match(await answerTo(again, { id, reconnectMs: long, received: 0 }), { kind: 'refuse', code: 'E_LINK_GONE' });
});

t.test('only who began a link goes on with it, even among those that are trusted', async (t) => {
  const security = encrypted(trusting(blueKey, redKey, greenKey));
  const links: Link[] = [];
  const onLink = (link: Link): void => void links.push(link);
  const listener = await listen('127.0.0.1', 0, { identity: blue, security, onLink });
  t.teardown(() => (links[0]?.destroy(), listener.close()));
  const id = 'cd'.repeat(16);
  const as = async ({ privateKey, certificate }: Credentials): Promise<Socket> => {
    const socket = connectTls({
      port: listener.port,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      key: privateKey,
      cert: certificate.pem,
    });
    t.teardown(() => socket.destroy());
    await once(socket, 'secureConnect');
    return socket;
  };
  const [opened, resumed] = [
    { id, reconnectMs: long, received: null },
    { id, reconnectMs: long, received: 0 },
  ];
  t.match(await answerTo(await as(redKey), opened), { kind: 'welcome' });
  t.match(await answerTo(await as(greenKey), resumed), { kind: 'refuse', code: 'E_LINK_GONE' });
  const plain = connectSocket(listener.port, '127.0.0.1');
  t.teardown(() => plain.destroy());
  t.match(await answerTo(plain, resumed), { kind: 'refuse', code: 'E_TLS' });
  t.match(await answerTo(await as(redKey), resumed), { kind: 'welcome' });
});

t.test('a listener that is another one by now gets nothing', async (t) => {
  let keys = trusting(blueKey, redKey);
  const security = { plaintext: false, credentials: () => Promise.resolve(keys) };
  const { near, way } = await linked(t, {
    near: { security: encrypted(trusting(redKey, blueKey, greenKey)) },
    far: { security },
  });
  keys = trusting(greenKey, redKey);
  way.cut();
  t.match(await near.closed, { code: 'E_LINK_GONE', message: /another key than before/ });
});
