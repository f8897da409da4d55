// Recordings on their way: stored whole, gone on with where the receiver has their beginning, and refused without harm where it
// holds something else. No guest is needed: both ends only know files.
import { cpSync, existsSync, mkdirSync, readFileSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import type { Test } from 'tap';
import { RecordingReader, RecordingWriter, sealSegment, verifyRecording, type Segment } from '../../src/log/index.js';
import { Home } from '../../src/machine/index.js';
import { receiveRecording, type ShippedRecording } from '../../src/migrate/receive-recording.js';
import { receive } from '../../src/migrate/receiver.js';
import { lockFolder } from '../../src/migrate/recording-folder.js';
import { ship, type ShipResult } from '../../src/migrate/ship.js';
import { icount } from '../../src/units.js';
import { collect, folder, randomLog, refusalOf, seeded } from '../log/support.js';
import { Brittle } from '../wire/brittle.js';
import { digests, record } from './small-recording.js';

type Random = ReturnType<typeof seeded>;

/** What another host adds behind `before`. */
function leg(random: Random, before: readonly Segment[], count: number): Segment[] {
  const [seqs, to] = [before.length, before.at(-1)?.to ?? 0];
  return randomLog(random, count).map(({ seq, from, payload, ...rest }) =>
    sealSegment({ ...rest, seq: seq + seqs, from: icount(from + to), payload }),
  );
}

async function goOn(dir: string, segments: readonly Segment[]): Promise<void> {
  const writer = await RecordingWriter.resume(dir);
  await writer.reopen();
  for (const segment of segments) await writer.append(segment);
  await writer.complete('given-up', { ...digests, ram: 'feed' });
}

interface Receiving {
  readonly port: number;
  readonly there: string;
  readonly came: ShippedRecording[];
  readonly send: (dir: string) => Promise<ShipResult>;
}

async function receiving(t: Test): Promise<Receiving> {
  const home = new Home(folder(t));
  mkdirSync(home.recordings);
  const came: ShippedRecording[] = [];
  const receiver = await receive({
    home,
    host: '127.0.0.1',
    port: 0,
    takeRecording: async (link, offer) => void came.push(await receiveRecording(link, offer, { home })),
  });
  t.teardown(() => receiver.close());
  return {
    port: receiver.port,
    there: home.recording('web-6f1c2f5e'),
    came,
    send: async (dir) => {
      const before = came.length;
      try {
        return await ship(dir, { host: '127.0.0.1', port: receiver.port });
      } finally {
        while (came.length === before) await delay(5); // The receiver has said its word, but not yet ended.
      }
    },
  };
}

async function isSame(t: Test, dir: string, there: string): Promise<void> {
  const [ours, theirs] = [await RecordingReader.open(dir), await RecordingReader.open(there)];
  t.same(await collect(theirs.segments()), await collect(ours.segments()));
  const { createdMs: _ours, parts: _parts, ...expected } = ours.manifest;
  t.match(theirs.manifest, expected);
  t.same((await verifyRecording(there)).problems, []);
  t.notOk(existsSync(join(there, 'writer.lock')), 'and is no longer held');
}

t.test('only what a host lacks crosses, and it then holds the same', async (t) => {
  const random = seeded(t);
  const dir = folder(t);
  const { there, send } = await receiving(t);
  const first = randomLog(random, 12);
  await record(dir, first);
  const whole = await send(dir);
  t.match(whole, { segments: 12, held: 0, name: 'web-6f1c2f5e', reason: 'given-up' });
  t.ok(whole.bytes.base > 0);
  await isSame(t, dir, there);

  t.match(await send(dir), { segments: 12, held: 12, bytes: { base: 0, log: 0 } }, 'nothing, when it has all');
  await isSame(t, dir, there);

  await goOn(dir, leg(random, first, 7));
  const rest = await send(dir);
  t.match(rest, { segments: 19, held: 12, bytes: { base: 0 } });
  t.ok(rest.bytes.log > 0);
  await isSame(t, dir, there);
});

t.test('a recording of which only a beginning has come is completed', async (t) => {
  const random = seeded(t);
  const dir = folder(t);
  const { there, send } = await receiving(t);
  const segments = randomLog(random, 9);
  await record(dir, segments);
  await record(there, segments.slice(0, 5), { cut: true });
  t.match(await send(dir), { segments: 9, held: 4, bytes: { base: 0 } });
  await isSame(t, dir, there);

  truncateSync(join(there, 'log/0000000000.seg'), 0);
  t.equal((await refusalOf(() => send(dir)))?.code, 'E_RECORDING_DAMAGED', 'what is damaged is not gone on with');
});

t.test('what comes in vain leaves the beginning that was there', async (t) => {
  const dir = folder(t);
  const { there, send } = await receiving(t);
  const segments = randomLog(seeded(t), 9);
  await record(dir, segments);
  await record(there, segments.slice(0, 5), { cut: true });
  const bad = join(dir, 'log/0000000000.seg');
  truncateSync(bad, statSync(bad).size - 1);
  t.equal((await refusalOf(() => send(dir)))?.code, 'E_RECORDING_DAMAGED');
  const reader = await RecordingReader.open(there);
  t.match(reader.manifest, { status: 'complete', reason: 'E_PEER_GONE', segments: 8 });
  t.same(await collect(reader.segments()), segments.slice(0, 8), 'and what came of the rest');
  t.same((await verifyRecording(there)).problems, []);
});

t.test('a connection that is cut does not end a transfer', async (t) => {
  const dir = folder(t);
  const { port, there, came } = await receiving(t);
  await record(dir, randomLog(seeded(t), 40));
  const bytesLeft = [1500, 100, 3000, 600];
  const way = await Brittle.to(port, () => bytesLeft[way.connections] ?? Infinity);
  t.teardown(() => way.close());
  const shipped = await ship(dir, { host: '127.0.0.1', port: way.port, reconnectMs: 60_000 });
  t.match(shipped, { segments: 40, held: 0 });
  t.ok(shipped.link.reconnects > 0 && shipped.link.brokenMs > 0, `made again ${shipped.link.reconnects} times`);
  while (came.length === 0) await delay(5);
  t.match(came, [{ segments: 40, error: null }]);
  await isSame(t, dir, there);
});

t.test(
  'a transfer that is cancelled while its link is away ends at once, and the next need not wait for it',
  async (t) => {
    const dir = folder(t);
    const { port, there, came, send } = await receiving(t);
    await record(dir, randomLog(seeded(t), 40));
    const way = await Brittle.to(port, () => (way.connections === 0 ? 1500 : 0));
    t.teardown(() => way.close());
    const cancel = new AbortController();
    const onProgress = (): void => {
      if (way.cuts > 0) cancel.abort();
    };
    const options = { host: '127.0.0.1', port: way.port, reconnectMs: 60_000, signal: cancel.signal, onProgress };
    t.match(await refusalOf(() => ship(dir, options)), { code: 'E_ABORTED' });
    t.match(came, [], 'the receiver waits still');
    t.match(await send(dir), { segments: 40 });
    while (came.length < 2) await delay(5);
    t.match(came[0], { error: { code: /E_PEER_GONE/ } });
    await isSame(t, dir, there);
  },
);

t.test('what is not the beginning of a recording is left as it is', async (t) => {
  const random = seeded(t);
  const [short, one, other, stranger] = [folder(t), folder(t), folder(t), folder(t)];
  const { there, came, send } = await receiving(t);
  const first = randomLog(random, 5);
  await record(short, first);
  cpSync(short, one, { recursive: true });
  cpSync(short, other, { recursive: true });
  await goOn(one, leg(random, first, 4));
  await goOn(other, leg(random, first, 6));
  await send(one);
  const before = readFileSync(join(there, 'manifest.trm'));

  const fork = await refusalOf(() => send(other));
  t.match(fork, { code: 'E_RECORDING_EXISTS', message: /another continuation/ });
  t.match(came.at(-1), { segments: 9, error: { code: 'E_PEER_GONE' } });
  t.match(await refusalOf(() => send(short)), { code: 'E_RECORDING_EXISTS', message: /has more of it/ });
  await record(stranger, first, { uuid: '6f1c2f5e-0000-4000-8000-000000000002' });
  t.match(await refusalOf(() => send(stranger)), { code: 'E_RECORDING_EXISTS', message: /another recording/ });
  t.same(readFileSync(join(there, 'manifest.trm')), before);
  await isSame(t, one, there);
});

t.test('a recording that is being written is not written to', async (t) => {
  const dir = folder(t);
  const { there, send } = await receiving(t);
  await record(dir, randomLog(seeded(t), 3));
  await send(dir);
  const folderThere = await lockFolder(there);
  t.match(await refusalOf(() => send(dir)), { code: 'E_RECORDING_BUSY' });
  await folderThere.release();
  t.match(await send(dir), { held: 3 });
});
