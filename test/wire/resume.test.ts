// A link whose connection is lost, anywhere, goes on over another one: every frame of the session comes once, whole and in its order.
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { TrmigError } from '../../src/errors.js';
import { MIB, wireInboxBytesMax, wireRetainedBytesMax } from '../../src/limits.js';
import { capabilities } from '../../src/wire/capabilities.js';
import { connect } from '../../src/wire/connect.js';
import { isSessionFrame, type SessionFrame } from '../../src/wire/frames.js';
import type { Link } from '../../src/wire/link.js';
import { FrameParser, encodeFrame } from '../../src/wire/parser.js';
import type { Credentials } from '../../src/wire/secure.js';
import { encrypted, keyOf, trusting } from './keys.js';
import { blue, linked, long, red, type Pair, type PairOptions } from './linked.js';
import { SAMPLES, seeded } from './samples.js';

async function take(link: Link, count: number): Promise<SessionFrame[]> {
  const frames: SessionFrame[] = [];
  for await (const frame of link.frames()) if (frames.push(frame) === count) break;
  return frames;
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await delay(5);
}

const isBulk = ({ kind }: SessionFrame): boolean => kind === 'imageChunk';

/** Image, log and progress in both directions, of random sizes, each frame another one. */
function traffic(random: () => number, count: number): SessionFrame[] {
  const bytes = (most: number): Buffer => Buffer.alloc(Math.ceil(most * random() ** 3), Math.floor(256 * random()));
  return Array.from({ length: count }, (_, seq): SessionFrame => {
    const choice = random();
    if (choice < 0.3) return { ...SAMPLES.imageChunk, firstPage: seq, compressed: bytes(600_000) };
    if (choice < 0.8) return { ...SAMPLES.segment, seq, bytes: bytes(20_000) };
    return { ...SAMPLES.progress, seq };
  });
}

async function exchange(t: Test, { near, far, way }: Pair, random: () => number): Promise<void> {
  const [there, back] = [traffic(random, 250), traffic(random, 100)];
  const send = async (link: Link, frames: readonly SessionFrame[], pauseMs: number): Promise<void> => {
    for (const frame of frames) {
      await link.send(frame);
      if (random() < 0.05) await delay(pauseMs * random());
    }
  };
  const [arrived, answers] = [take(far, there.length), take(near, back.length)];
  await Promise.all([send(near, there, 20), send(far, back, 50)]);
  for (const [sent, came] of [
    [there, await arrived],
    [back, await answers],
  ] as const) {
    const order = (frames: readonly SessionFrame[]): SessionFrame[][] => [
      frames.filter(isBulk),
      frames.filter((frame) => !isBulk(frame)),
    ];
    t.strictSame(order(came), order(sent));
  }
  t.ok(
    near.outages.reconnects > 0 && near.outages.brokenMs > 0,
    `${near.outages.reconnects} of ${way.cuts} cuts mended`,
  );
  t.equal(way.connections, way.cuts + 1, 'nothing else has broken any');
  await near.close();
  t.equal(await far.closed, null, 'the end is in order, and not waited for');
}

/** Of the first connection enough that there is a link; of others often not even a handshake; at last one that holds. */
function cutting(random: () => number, cuts: number): () => number {
  let connections = 0;
  return () => {
    const bytes = random() < 0.4 ? 1 + Math.floor(700 * random()) : Math.ceil(800_000 * random());
    connections++;
    if (connections > cuts) return Infinity;
    return connections === 1 ? 3000 + bytes : bytes;
  };
}

const seed = Number(process.env['TRMIG_SEED'] ?? 1);
const seeds = Number(process.env['TRMIG_SEEDS'] ?? 6);
for (let i = seed; i < seed + seeds; i++) {
  t.test(`cut at random, again while it recovers too (TRMIG_SEED=${i} TRMIG_SEEDS=1)`, async (t) => {
    const random = seeded(i);
    await exchange(t, await linked(t, { bytesLeft: cutting(random, 8) }), random);
  });
}

const [redKey, blueKey] = (await Promise.all(['red', 'blue'].map(keyOf))) as [Credentials, Credentials];

t.test('the same within TLS', async (t) => {
  const random = seeded(seed);
  const bytesLeft = cutting(random, 8);
  const pair = await linked(t, {
    bytesLeft: () => 8000 + bytesLeft(),
    near: { security: encrypted(trusting(redKey, blueKey)) },
    far: { security: encrypted(trusting(blueKey, redKey)) },
  });
  await exchange(t, pair, random);
});

t.test('the connection is lost at each byte of the handshake that was to mend it', async (t) => {
  let last = Infinity;
  const { near, far, way } = await linked(t, { bytesLeft: () => last });
  let sent = 0;
  // Each try lets 16 bytes more through, and the first that holds ends it.
  for (let bytes = 1; bytes < 900; bytes += 16) {
    const { connections } = way;
    last = bytes;
    way.cut();
    await until(() => way.connections > connections);
    last = Infinity;
    const frames = Array.from({ length: 3 }, () => ({ ...SAMPLES.segment, seq: sent++ }));
    const arrived = take(far, frames.length);
    for (const frame of frames) await near.send(frame);
    t.strictSame(await arrived, frames, `after ${bytes} bytes`);
  }
});

t.test('a connection that carries nothing any more is replaced', async (t) => {
  const link = { heartbeatMs: 20, idleMs: 200 };
  const { near, far, way } = await linked(t, { near: { link }, far: { link } });
  way.silence();
  await near.send(SAMPLES.segment);
  t.strictSame(await take(far, 1), [SAMPLES.segment]);
  t.match([near.outages.reconnects, far.outages.reconnects], [1, 1]);
});

t.test('while there is no connection, no more is kept than is meant to be', async (t) => {
  const { near, far, way } = await linked(t);
  const chunk = { ...SAMPLES.imageChunk, compressed: Buffer.alloc(MIB, 1) };
  let sent = 0;
  const writing = (async () => {
    for (let i = 0; i < 64; i++, sent++) await near.send({ ...chunk, firstPage: i });
  })();
  await until(() => sent > 8);
  way.cut();
  await delay(300);
  const most = (wireInboxBytesMax + wireRetainedBytesMax) / MIB + 2;
  t.ok(sent <= most, `${sent} MiB went ahead of a reader that does not read, and a connection that is not there`);
  const came = await take(far, 64);
  t.strictSame(
    came.map((frame) => frame.kind === 'imageChunk' && frame.firstPage),
    [...Array(64).keys()],
  );
  await writing;
});

t.test('of what the peer does not say that it has there is an end: of the image first, of the log later', async (t) => {
  const seen: string[] = [];
  let socket!: Socket;
  const server = createServer((far) => {
    socket = far;
    const parser = new FrameParser();
    far
      .on('error', () => undefined)
      .on('data', (chunk: Buffer) => {
        for (const { frame } of parser.push(chunk)) {
          if (isSessionFrame(frame)) seen.push(frame.kind);
          if (frame.kind !== 'hello') continue;
          parser.version = 1;
          far.write(encodeFrame({ ...SAMPLES.welcome, version: 1, capabilities: [capabilities.resumeLink] }).head);
        }
      });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const near = await connect('127.0.0.1', (server.address() as AddressInfo).port, { identity: red, reconnectMs: long });
  t.teardown(() => (near.destroy(), socket.destroy(), server.close()));
  const bytes = Buffer.alloc(MIB, 1);
  const inMib = wireRetainedBytesMax / MIB;
  const sending = [
    ...[...Array(2 * inMib).keys()].map((firstPage) =>
      near.send({ ...SAMPLES.imageChunk, firstPage, compressed: bytes }),
    ),
    ...[...Array(2 * inMib).keys()].map((seq) => near.send({ ...SAMPLES.segment, seq, bytes })),
  ];
  const count = (kind: string): number => seen.filter((one) => one === kind).length;
  await until(() => seen.length >= 2 * inMib);
  await near.send(SAMPLES.query);
  await delay(100);
  t.ok(count('imageChunk') <= inMib, `${count('imageChunk')} chunks`);
  t.equal(count('imageChunk') + count('segment'), 2 * inMib);
  t.equal(count('query'), 1);
  while (seen.length < 4 * inMib + 1) {
    socket.write(encodeFrame({ kind: 'ack', received: seen.length }).head);
    await delay(20);
  }
  await Promise.all(sending);
});

async function timed<Value>(promise: Promise<Value>): Promise<{ readonly value: Value; readonly ms: number }> {
  const begunMs = performance.now();
  const value = await promise;
  return { value, ms: performance.now() - begunMs };
}

const thrown = (promise: Promise<unknown>): Promise<TrmigError> =>
  promise.then(
    () => Promise.reject(new Error('it did not fail')),
    (error: unknown) => error as TrmigError,
  );

t.test('both ends give up when the time is over, and say how long that was', async (t) => {
  const { near, far, way } = await linked(t, { near: { reconnectMs: 400 } });
  const sending = thrown(
    near
      .send(SAMPLES.segment)
      .then(() => near.closed)
      .then((error) => Promise.reject(error!)),
  );
  way.close();
  const ends = await timed(Promise.all([near.closed, far.closed]));
  const message = /was lost, and there was no other within \d+ ms/;
  t.match(ends.value, [{ code: 'E_LINK_GONE', message, hint: /--reconnect/ }, { code: 'E_LINK_GONE' }]);
  t.ok(ends.ms < 2_000, `${ends.ms} ms`);
  t.match(await sending, { code: 'E_LINK_GONE' });
  t.match(await thrown(near.send(SAMPLES.segment)), { code: 'E_LINK_GONE' });
});

t.test('patience can end sooner, and an end is not waited with', async (t) => {
  const ends: [string, (link: Link) => unknown, string][] = [
    ['no patience', (link) => link.patience(0), 'E_PEER_GONE|null'],
    ['little patience', (link) => link.patience(100), 'E_LINK_GONE'],
    ['cancelled', (link) => link.destroy(), 'E_ABORTED'],
    ['closed', (link) => link.close(), 'E_PEER_GONE'],
  ];
  for (const [how, end, code] of ends) {
    const { near, way } = await linked(t);
    way.close();
    await until(() => near.outages.brokenForMs !== null);
    const waits = thrown(near.send(SAMPLES.segment));
    end(near);
    const { value, ms } = await timed(near.closed);
    t.match(value?.code ?? 'null', new RegExp(`^(${code})$`), how);
    t.ok(ms < 1_000, `${how}: ${ms} ms`);
    t.match((await waits).code, /E_/);
  }
});

t.test('who ends a link says so, and is not waited for', async (t) => {
  for (const [how, end] of [
    ['closed', (link: Link) => link.close()],
    ['ended', (link: Link) => link.destroy()],
  ] as const) {
    for (const side of ['near', 'far'] as const) {
      const pair = await linked(t);
      await pair.near.send(SAMPLES.offer);
      await take(pair.far, 1);
      void end(pair[side]);
      const { value, ms } = await timed(pair[side === 'near' ? 'far' : 'near'].closed);
      t.equal(value, null, `${side} ${how}`);
      t.ok(ms < 1_000, `after ${ms} ms`);
      t.equal(pair.way.connections, 1);
    }
  }
});

t.test('with a peer that cannot, or when it is not asked for, a link ends with its connection', async (t) => {
  const old = { ...blue, capabilities: [capabilities.shortFrames] };
  const oldCaller = { ...red, capabilities: [] };
  const cases: PairOptions[] = [
    { far: { identity: old } },
    { near: { identity: oldCaller } },
    { near: { reconnectMs: 0 } },
  ];
  for (const options of cases) {
    const { near, far, way } = await linked(t, options);
    await near.send(SAMPLES.segment);
    t.strictSame(await take(far, 1), [SAMPLES.segment]);
    way.cut();
    const { value, ms } = await timed(Promise.all([near.closed, far.closed]));
    for (const error of value) t.match(error?.code ?? 'null', /^(E_PEER_GONE|null)$/);
    t.ok(ms < 1_000);
    t.equal(way.connections, 1);
  }
});
