import { once } from 'node:events';
import { connect as connectSocket, createServer, type AddressInfo, type Socket } from 'node:net';
import { duplexPair } from './pair.js';
import t, { type Test } from 'tap';
import { TrmigError } from '../../src/errors.js';
import { capabilities } from '../../src/wire/capabilities.js';
import { connect, listen, type Identity, type ListenOptions } from '../../src/wire/connect.js';
import type { SessionFrame } from '../../src/wire/frames.js';
import { Link } from '../../src/wire/link.js';
import { totalBytes } from '../../src/wire/meter.js';
import { SAMPLES } from './samples.js';

const red: Identity = { trmig: '0.1.0', host: 'red', capabilities: ['verify'] };
const blue: Identity = { trmig: '0.1.1', host: 'blue', capabilities: [] };

async function linked(t: Test, options: Partial<ListenOptions> = {}): Promise<{ near: Link; far: Link }> {
  let admitted: (link: Link) => void;
  const far = new Promise<Link>((resolve) => (admitted = resolve));
  const listener = await listen('127.0.0.1', 0, { identity: blue, onLink: (link) => admitted(link), ...options });
  const near = await connect('127.0.0.1', listener.port, { identity: red });
  const pair = { near, far: await far };
  t.teardown(async () => {
    pair.near.destroy();
    pair.far.destroy();
    await listener.close();
  });
  return pair;
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'none',
    (error: unknown) => (error instanceof TrmigError ? error.code : String(error)),
  );
}

async function take(link: Link, count: number): Promise<SessionFrame[]> {
  const frames: SessionFrame[] = [];
  for await (const frame of link.frames()) {
    frames.push(frame);
    if (frames.length === count) break;
  }
  return frames;
}

t.test('the handshake tells each side who the other is, and frames flow both ways', async (t) => {
  const { near, far } = await linked(t);
  t.match(near.peer, blue);
  t.match(far.peer, red);
  await near.send(SAMPLES.offer);
  await far.send(SAMPLES.accept);
  t.strictSame(await take(far, 1), [SAMPLES.offer]);
  t.strictSame(await take(near, 1), [SAMPLES.accept]);
  await near.close();
  t.strictSame(await far.closed, null, 'a close in order is no fault');
});

t.test('bytes by kind add up to what the sockets moved', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const nearSocket = connectSocket((server.address() as AddressInfo).port, '127.0.0.1');
  const [farSocket] = await accepted;
  const [near, far] = [new Link(nearSocket, { name: 'far' }), new Link(farSocket, { name: 'near' })];
  t.teardown(() => (near.destroy(), far.destroy(), server.close()));
  near.opened(1, blue);
  far.opened(1, red);
  const compressed = Buffer.alloc(300_000, 7);
  for (let i = 0; i < 10; i++) {
    await near.send({ ...SAMPLES.imageChunk, compressed });
    await near.send(SAMPLES.segment);
    await near.send(SAMPLES.checkpoint);
    await far.send(SAMPLES.progress);
  }
  await near.send(SAMPLES.abort);
  await Promise.all([take(far, 31), take(near, 10)]);
  const sent = near.bytes.sent;
  t.equal(totalBytes(sent), nearSocket.bytesWritten);
  t.equal(totalBytes(far.bytes.received), farSocket.bytesRead);
  t.ok(sent.base > 10 * compressed.length && sent.log > 30 && sent.deviceState > 50 && sent.overhead > 0);
  t.equal(sent.disk, 0);
});

t.test('frames are short to a peer that has said that it reads them, and only to such a one', async (t) => {
  const [nearEnd, farEnd] = duplexPair();
  const [near, far] = [new Link(nearEnd, { name: 'far' }), new Link(farEnd, { name: 'near' })];
  t.teardown(() => (near.destroy(), far.destroy()));
  near.opened(1, { ...blue, capabilities: [capabilities.shortFrames] });
  far.opened(1, red);
  await near.send(SAMPLES.segment);
  await far.send(SAMPLES.segment);
  t.strictSame([await take(far, 1), await take(near, 1)], [[SAMPLES.segment], [SAMPLES.segment]]);
  t.ok(near.bytes.sent.log <= far.bytes.sent.log - 12, `${near.bytes.sent.log} of ${far.bytes.sent.log} bytes`);
});

t.test('a segment overtakes queued image chunks, but not one that has begun', async (t) => {
  const [nearEnd, farEnd] = duplexPair();
  const [near, far] = [new Link(nearEnd, { name: 'far' }), new Link(farEnd, { name: 'near' })];
  t.teardown(() => (near.destroy(), far.destroy()));
  near.opened(1, blue);
  far.opened(1, red);
  const chunk = { ...SAMPLES.imageChunk, compressed: Buffer.alloc(200_000) };
  const sends = [0, 1, 2, 3].map((firstPage) => near.send({ ...chunk, firstPage }));
  sends.push(near.send(SAMPLES.segment), near.send(SAMPLES.imageEnd));
  const order = (await take(far, 6)).map((frame) => (frame.kind === 'imageChunk' ? frame.firstPage : frame.kind));
  t.strictSame(order, [0, 'segment', 1, 2, 3, 'imageEnd']);
  await Promise.all(sends);
});

t.test('a reader that does not read stops the writer', async (t) => {
  const { near, far } = await linked(t);
  const compressed = Buffer.alloc(1024 * 1024, 1);
  let sent = 0;
  const writing = (async () => {
    for (let i = 0; i < 64; i++) {
      await near.send({ ...SAMPLES.imageChunk, compressed });
      sent++;
    }
  })();
  await new Promise((resolve) => setTimeout(resolve, 300));
  t.ok(sent < 40, `${sent} MiB went ahead of a reader that does not read`);
  t.equal((await take(far, 64)).length, 64);
  await writing;
  t.ok((near.rates.rttMs ?? -1) >= 0, 'and the heartbeat measured the round trip');
});

t.test('sending can be cancelled while the frame waits, and only then', async (t) => {
  const [nearEnd] = duplexPair();
  const near = new Link(nearEnd, { name: 'far' });
  t.teardown(() => near.destroy());
  near.opened(1, blue);
  const chunk = { ...SAMPLES.imageChunk, compressed: Buffer.alloc(200_000) };
  const abort = new AbortController();
  const begun = near.send(chunk, { signal: abort.signal });
  const waits = near.send(chunk, { signal: abort.signal });
  abort.abort();
  t.equal(await codeOf(begun), 'none');
  t.equal(await codeOf(waits), 'E_ABORTED');
  t.equal(await codeOf(near.send(chunk, { signal: abort.signal })), 'E_ABORTED');
});

t.test('a broken connection reaches reader and writer as one error', async (t) => {
  const { near, far } = await linked(t);
  const reading = codeOf(take(near, 1));
  const [socketOfFar] = [far];
  socketOfFar.destroy(new TrmigError('E_ABORTED', 'the test cut it'));
  t.match(await near.closed.then((error) => error?.code ?? null), /E_PEER_GONE|null/);
  t.match(await reading, /E_PEER_GONE|none/);
  t.equal(await codeOf(near.send(SAMPLES.segment)), 'E_PEER_GONE');
});

t.test('a connection that ends inside a frame is a broken one', async (t) => {
  const [nearEnd, farEnd] = duplexPair();
  const near = new Link(nearEnd, { name: 'far' });
  near.opened(1, blue);
  farEnd.end(Buffer.from('TRMG\x01\x00'));
  t.equal((await near.closed)?.code, 'E_PEER_GONE');
});

t.test('garbage in a session ends the link with its code, and the process lives', async (t) => {
  const [nearEnd, farEnd] = duplexPair();
  const near = new Link(nearEnd, { name: 'far' });
  near.opened(1, blue);
  const reading = codeOf(take(near, 1));
  farEnd.write(Buffer.from('hello, world: not a frame'));
  t.equal((await near.closed)?.code, 'E_WIRE_GARBAGE');
  t.equal(await reading, 'E_WIRE_GARBAGE');
  t.ok(nearEnd.destroyed);
});

t.test('a silent peer is gone after the idle time; our own suspension is not its silence', async (t) => {
  const [nearEnd] = duplexPair();
  let nowMs = 0;
  const near = new Link(nearEnd, { name: 'far', heartbeatMs: 5, idleMs: 100, nowMs: () => nowMs });
  near.opened(1, blue);
  nowMs = 10_000;
  await new Promise((resolve) => setTimeout(resolve, 20));
  t.equal(await Promise.race([near.closed, Promise.resolve('open')]), 'open');
  const clock = setInterval(() => (nowMs += 15), 5);
  t.teardown(() => clearInterval(clock));
  t.equal((await near.closed)?.code, 'E_PEER_GONE');
});

t.test('a peer of another protocol version is refused, both versions named', async (t) => {
  const newer = { ...blue, versionMin: 7, versionMax: 9 };
  let tell: (error: TrmigError) => void;
  const told = new Promise<TrmigError>((resolve) => (tell = resolve));
  const options = { identity: newer, onLink: () => undefined, onRefused: (error: TrmigError) => tell(error) };
  const listener = await listen('127.0.0.1', 0, options);
  t.teardown(() => listener.close());
  const error = await connect('127.0.0.1', listener.port, { identity: red }).catch((thrown: unknown) => thrown);
  t.match(error, { code: 'E_WIRE_VERSION', message: /7 to 9.*1 to 1/, hint: /red/ });
  t.match(await told, { code: 'E_WIRE_VERSION' });
});

t.test('strangers cost a listener nothing', async (t) => {
  const refused: string[] = [];
  const { near, far } = await linked(t, { timeoutMs: 50, onRefused: (error) => void refused.push(error.code) });
  const port = Number(near.name.split(':')[1]);
  const http = connectSocket(port, '127.0.0.1');
  http.on('error', () => undefined);
  http.write('GET / HTTP/1.1\r\n\r\n');
  await once(http, 'close');
  const silent = connectSocket(port, '127.0.0.1');
  silent.on('error', () => undefined);
  await once(silent, 'close');
  t.strictSame(refused, ['E_WIRE_GARBAGE', 'E_CONNECT']);
  await near.send(SAMPLES.offer);
  t.strictSame(await take(far, 1), [SAMPLES.offer], 'an open link is untouched');
});

t.test('what cannot be reached or listened on fails with the reason', async (t) => {
  const sockets: Socket[] = [];
  const server = createServer((socket) => void sockets.push(socket)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  t.equal(await codeOf(listen('127.0.0.1', port, { identity: red, onLink: () => undefined })), 'E_LISTEN');
  const mute = connect('127.0.0.1', port, { identity: red, timeoutMs: 50 });
  t.equal(await codeOf(mute), 'E_CONNECT', 'a port that accepts and says nothing');
  const abort = new AbortController();
  const cancelled = connect('127.0.0.1', port, { identity: red, signal: abort.signal });
  abort.abort();
  t.equal(await codeOf(cancelled), 'E_ABORTED');
  for (const socket of sockets) socket.destroy();
  server.close();
  await once(server, 'close');
  t.equal(await codeOf(connect('127.0.0.1', port, { identity: red })), 'E_CONNECT');
});
