// Both ends of `ship` against the other end's recorded words: what an old trmig shipped is stored, and what it answered is
// understood.
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { connect as connectSocket, createServer, type AddressInfo } from 'node:net';
import t from 'tap';
import { RecordingReader, digestLog, verifyRecording } from '../../src/log/index.js';
import { Home } from '../../src/machine/index.js';
import { receiveRecording, type ShippedRecording } from '../../src/migrate/receive-recording.js';
import { receive } from '../../src/migrate/receiver.js';
import { ship } from '../../src/migrate/ship.js';
import { Random, folder, randomLog } from '../log/support.js';
import { golden } from '../wire/golden.js';
import { record } from './small-recording.js';

t.test('a recording that an old trmig ships is stored', async (t) => {
  const home = new Home(folder(t));
  mkdirSync(home.recordings);
  let tell: (came: ShippedRecording) => void;
  const coming = new Promise<ShippedRecording>((resolve) => (tell = resolve));
  const receiver = await receive({
    home,
    host: '127.0.0.1',
    port: 0,
    takeRecording: async (link, offer) => tell(await receiveRecording(link, offer, { home })),
  });
  t.teardown(() => receiver.close());
  const socket = connectSocket(receiver.port, '127.0.0.1');
  t.teardown(() => socket.destroy());
  socket.resume().write(golden('ship.caller.bin'));
  const came = await coming;
  t.match(came, { error: null, manifest: { machine: 'web', reason: 'given-up', digests: { registers: '4e6' } } });
  t.same((await verifyRecording(came.dir)).problems, []);
  const stored = await digestLog(await RecordingReader.open(came.dir));
  t.match(stored, JSON.parse(golden('ship.json').toString()), 'byte by byte what it had');
});

t.test('the answers of an old trmig are understood', async (t) => {
  const dir = folder(t);
  await record(dir, randomLog(new Random(1), 12));
  const server = createServer((socket) => {
    socket.on('error', () => undefined).once('data', () => socket.write(golden('ship.listener.bin')));
    t.teardown(() => socket.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const shipped = await ship(dir, { host: '127.0.0.1', port: (server.address() as AddressInfo).port });
  t.match(shipped, { host: 'red', segments: 12, held: 0, reason: 'given-up' });
});
