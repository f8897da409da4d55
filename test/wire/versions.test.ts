// Two trmigs of different ages find a version that both speak, or say which of the two is to be upgraded.
import { once } from 'node:events';
import { connect as connectSocket, createServer, type AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { TrmigError } from '../../src/errors.js';
import { connect, listen, type Identity } from '../../src/wire/connect.js';
import type { Frame } from '../../src/wire/frames.js';
import { FrameParser, encodeFrame } from '../../src/wire/parser.js';
import { SAMPLES } from './samples.js';

const speaking = (host: string, versionMin: number, versionMax: number): Identity => {
  return { trmig: `${versionMax}.0`, host, capabilities: [], versionMin, versionMax };
};

/** What a listener answers to a hello that was made by hand. */
async function answerTo(t: Test, listening: Identity, hello: Partial<typeof SAMPLES.hello>): Promise<Frame> {
  const listener = await listen('127.0.0.1', 0, { identity: listening, onLink: () => undefined });
  const socket = connectSocket(listener.port, '127.0.0.1');
  t.teardown(() => (socket.destroy(), listener.close()));
  socket.write(encodeFrame({ ...SAMPLES.hello, ...hello }).head);
  const [chunk] = (await once(socket, 'data')) as [Buffer];
  return [...new FrameParser().push(chunk)][0]!.frame;
}

t.test('the highest version that both speak is chosen', async (t) => {
  for (const [ours, theirs, chosen] of [
    [[1, 1], [1, 9], 1],
    [[1, 3], [2, 9], 3],
    [[2, 9], [1, 4], 4],
    [[5, 5], [5, 5], 5],
  ] as const) {
    const hello = { versionMin: theirs[0], versionMax: theirs[1] };
    t.match(await answerTo(t, speaking('blue', ours[0], ours[1]), hello), { kind: 'welcome', version: chosen });
  }
});

t.test('without one, both sides name both versions and the host to upgrade', async (t) => {
  for (const [ours, theirs, older] of [
    [[1, 1], [2, 3], 'blue'],
    [[4, 5], [1, 3], 'red'],
    [[1, 5], [9, 2], 'blue'],
    [[1, 5], [0, 0], 'red'],
  ] as const) {
    const hello = { versionMin: theirs[0], versionMax: theirs[1] };
    t.match(await answerTo(t, speaking('blue', ours[0], ours[1]), hello), {
      kind: 'refuse',
      code: 'E_WIRE_VERSION',
      message: new RegExp(`blue speaks protocol ${ours.join(' to ')}, .* red speaks ${theirs.join(' to ')}`),
      hint: `Upgrade trmig on ${older}.`,
    });
  }
});

t.test('a listener that chooses what the caller does not speak is left', async (t) => {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.write(encodeFrame({ ...SAMPLES.welcome, version: 2 }).head));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  const error = await connect('127.0.0.1', port, { identity: speaking('red', 1, 1) }).catch(
    (thrown: unknown) => thrown,
  );
  t.ok(error instanceof TrmigError);
  t.match(error, { code: 'E_WIRE_VERSION', message: /trmig 0\.2\.0 on blue .*version 2, .* red speaks 1 to 1/ });
});
