// What version 1 of the protocol looked like when it was new is read by every later trmig: by the parser, and by both ends of a
// real connection, whose other end says what an old trmig said.
import { once } from 'node:events';
import { connect as connectSocket, createServer, type AddressInfo } from 'node:net';
import t from 'tap';
import { connect, listen, type Identity } from '../../src/wire/connect.js';
import { FRAME_KINDS, type Frame } from '../../src/wire/frames.js';
import type { Link } from '../../src/wire/link.js';
import { FrameParser } from '../../src/wire/parser.js';
import { asJson, golden } from './golden.js';

const [hello, welcome, ...rest] = golden('every-frame.jsonl').toString().trim().split('\n') as [
  string,
  string,
  ...string[],
];
const session = rest.slice(0, -1);
const pong = rest.at(-1)!;
/** Of `resume-link`, which is newer. */
const [begins, resumes, answers, ...ownWords] = golden('resume.jsonl').toString().trim().split('\n') as [
  string,
  string,
  string,
  ...string[],
];
const kindOf = (line: string): string => (JSON.parse(line) as { kind: string }).kind;
/** What a session sees of it: heartbeats are the link's own. */
const seen = [...session, ...session].filter((line) => kindOf(line) !== 'ping');
const me: Identity = { trmig: 'now', host: 'me', capabilities: [] };

function parsed(stream: Buffer, step: number): string[] {
  const parser = new FrameParser();
  const frames: Frame[] = [];
  for (let at = 0; at < stream.length; at += step) {
    for (const { frame } of parser.push(stream.subarray(at, at + step))) frames.push(frame);
    if (frames.length === 1 && parser.version === null) {
      parser.version = 1;
      for (const { frame } of parser.push(Buffer.alloc(0))) frames.push(frame);
    }
  }
  t.equal(parser.pendingBytes, 0);
  return frames.map(asJson);
}

async function all(link: Link, count: number): Promise<string[]> {
  const lines: string[] = [];
  for await (const frame of link.frames()) if (lines.push(asJson(frame)) === count) break;
  return lines;
}

t.test('the golden streams hold every kind of frame, long and short', async (t) => {
  const kinds = new Set([hello, welcome, ...rest, ...ownWords].map(kindOf));
  t.same(
    Object.keys(FRAME_KINDS).filter((kind) => !kinds.has(kind)),
    [],
    'a new kind needs golden files of its own, beside these',
  );
  for (const [side, first] of [
    ['caller', hello],
    ['listener', welcome],
  ] as const) {
    for (const step of [1, 1000, 1_000_000]) {
      t.same(
        parsed(golden(`every-frame.${side}.bin`), step),
        [first, ...session, ...session, pong],
        `${side}, by ${step}`,
      );
    }
  }
});

t.test('so do those of a link that goes on over another connection', async (t) => {
  for (const [name, first] of Object.entries({ begins, resumes, welcome: answers })) {
    const twice = ownWords.flatMap((line) => [line, line]);
    for (const step of [1, 1000]) t.same(parsed(golden(`resume.${name}.bin`), step), [first, ...twice], name);
  }
});

t.test('a listener understands an old caller', async (t) => {
  let admitted: (link: Link) => void;
  const admission = new Promise<Link>((resolve) => (admitted = resolve));
  const listener = await listen('127.0.0.1', 0, { identity: me, onLink: (link) => admitted(link) });
  const socket = connectSocket(listener.port, '127.0.0.1');
  t.teardown(() => (socket.destroy(), listener.close()));
  socket.on('error', () => undefined).resume();
  socket.write(golden('every-frame.caller.bin'));
  const link = await admission;
  t.match(link.peer, { trmig: '0.1.0', host: 'red', capabilities: ['short-frames', 'verify', 'x'] });
  t.same(await all(link, seen.length), seen);
  socket.end();
  t.equal(await link.closed, null, 'to its end');
});

t.test('a caller understands an old listener', async (t) => {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.write(golden('every-frame.listener.bin')));
    t.teardown(() => socket.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const link = await connect('127.0.0.1', (server.address() as AddressInfo).port, { identity: me });
  t.teardown(() => link.destroy());
  t.match(link.peer, { trmig: '0.2.0', host: 'blue', capabilities: ['short-frames'] });
  t.same(await all(link, seen.length), seen);
});
