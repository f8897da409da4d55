// Made fixtures/wire/v1, once: what version 1 of the protocol looks like on the wire, both directions of two connections. Golden
// files are never regenerated (scripts/log-fixtures.mjs says why), so this refuses to overwrite anything.
//
//   unshare --uts sh -c 'hostname red && node scripts/wire-fixtures.mjs'     after the tests were compiled; red is the host's name in them
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const load = (path) => import(pathToFileURL(join(root, 'build', path)).href);
const { FrameParser, encodeFrame } = await load('src/wire/parser.js');
const { RecordingReader, digestLog } = await load('src/log/index.js');
const { Home } = await load('src/machine/index.js');
const { receive } = await load('src/migrate/receiver.js');
const { receiveRecording } = await load('src/migrate/receive-recording.js');
const { ship } = await load('src/migrate/ship.js');
const { SAMPLES, allSamples } = await load('test/wire/samples.js');
const { asJson } = await load('test/wire/golden.js');
const { Random, randomLog } = await load('test/log/support.js');
const { record } = await load('test/migrate/small-recording.js');

const golden = join(root, 'fixtures', 'wire', 'v1');
if (existsSync(golden)) throw new Error(`${golden} is there already, and golden files are not written twice`);
mkdirSync(golden, { recursive: true });
const write = (name, content) => writeFileSync(join(golden, name), content);

// --- every kind of frame, in its long form and in its short one ---
const bytesOf = (frame, short) => {
  const { head, payload } = encodeFrame(frame, { version: 1, short });
  return Buffer.concat([head, payload ?? Buffer.alloc(0)]);
};
// A pong is the answer to the first ping of a connection, and there is one such.
const session = allSamples.filter(({ kind }) => !['hello', 'welcome', 'pong'].includes(kind));
const said = [
  ...session.map((frame) => bytesOf(frame, false)),
  ...session.map((frame) => bytesOf(frame, true)),
  bytesOf(SAMPLES.pong, true),
];
const hello = { ...SAMPLES.hello, versionMax: 1, capabilities: ['short-frames', 'verify', 'x'] };
const welcome = { ...SAMPLES.welcome, version: 1, capabilities: ['short-frames'] };
write('every-frame.caller.bin', Buffer.concat([bytesOf(hello, false), ...said]));
write('every-frame.listener.bin', Buffer.concat([bytesOf(welcome, false), ...said]));
const lines = [hello, welcome, ...session, SAMPLES.pong].map((frame) => `${asJson(frame)}\n`);
write('every-frame.jsonl', lines.join(''));

// --- a recording that is shipped, as the two ends said it ---
const folder = mkdtempSync(join(tmpdir(), 'trmig-wire-'));
const home = new Home(join(folder, 'home'));
mkdirSync(home.recordings, { recursive: true });
await record(join(folder, 'rec'), randomLog(new Random(1), 12));
const receiver = await receive({
  home,
  host: '127.0.0.1',
  port: 0,
  takeRecording: async (link, offer) => void (await receiveRecording(link, offer, { home })),
});
const streams = { caller: [], listener: [] };
const tap = createServer((near) => {
  const far = connect(receiver.port, '127.0.0.1');
  near.on('data', (chunk) => (streams.caller.push(chunk), far.write(chunk))).on('end', () => far.end());
  far.on('data', (chunk) => (streams.listener.push(chunk), near.write(chunk))).on('end', () => near.end());
}).listen(0, '127.0.0.1');
await once(tap, 'listening');
await ship(join(folder, 'rec'), { host: '127.0.0.1', port: tap.address().port });
await receiver.close();
tap.close();
for (const [side, chunks] of Object.entries(streams)) {
  const bytes = Buffer.concat(chunks);
  const parser = new FrameParser();
  const frames = [...parser.push(bytes)];
  parser.version = 1;
  frames.push(...parser.push(Buffer.alloc(0)));
  const kinds = frames.map(({ frame }) => frame.kind);
  // A second heartbeat would be answered in a replay before it was asked.
  if (kinds.filter((kind) => kind === 'ping').length !== 1) throw new Error('this took too long: run it again');
  write(`ship.${side}.bin`, bytes);
  console.log(side, bytes.length, 'bytes:', kinds.join(' '));
}
const { segments, digest } = await digestLog(await RecordingReader.open(join(folder, 'rec')));
write('ship.json', `${JSON.stringify({ segments, digest })}\n`);
rmSync(folder, { recursive: true });
