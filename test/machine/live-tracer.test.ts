// The client and the real tracer: that the two sides of docs/tracer-protocol.md are one protocol.
import t from 'tap';
import { Home } from '../../src/machine/home.js';
import { Machine } from '../../src/machine/machine.js';
import { chooseShift } from '../../src/machine/shift.js';
import { parseSpec } from '../../src/machine/spec.js';
import { findTracer } from '../../src/machine/tracer-path.js';
import { TracerClient } from '../../src/machine/tracer.js';
import { codeOf, temporaryFolder } from './fake-peer.js';

const built = (await codeOf(findTracer())) === 'none';
const skip = built ? false : 'the tracer is not built';

t.test('a machine is probed, armed and disarmed by its tracer', { skip }, async (t) => {
  const home = new Home(temporaryFolder(t));
  const spec = parseSpec('name: web\nmemory: 16M', { base: '/', source: 'test' });
  const machine = await Machine.start(spec, { home });
  t.teardown(() => machine.stop({ graceful: false }));
  const { tracer } = machine;

  const hello = await tracer.hello();
  t.match(hello, { pid: machine.process.pid, mode: 'dormant', running: true, target: 'x86_64' });
  t.equal(hello.blocks.find(({ name }) => name === 'pc.ram')?.bytes, 16 * 1024 * 1024);
  const shift = chooseShift(await tracer.probe(50));
  t.ok(shift >= 0 && shift <= 10);

  const log = await tracer.openStream('log');
  let logBytes = 0;
  log.on('data', (chunk: Buffer) => (logBytes += chunk.length));
  const armed = await tracer.arm({ shift, stream: 'log', segmentMs: 10, segmentBytes: 65_536, checkpoint: true });
  t.equal(armed.shift, shift);
  t.ok(armed.deviceState.length > 1000);
  t.equal(armed.frozen.blocks.length, hello.blocks.length);
  await tracer.thaw(armed.frozen.pid);
  t.match(await machine.status(), { qemu: 'running', tracer: { mode: 'armed', shift } });
  t.equal(await codeOf(tracer.play({ stream: 'log' })), 'E_TRACER_WRONG_MODE');
  t.equal(await codeOf(tracer.pace(7)), 'E_TRACER_BAD_REQUEST');

  const second = await TracerClient.connect(tracer.path);
  t.equal((await second.status()).mode, 'armed', 'a second client sees the same');
  second.close();

  await tracer.stop(10_000);
  t.match((await tracer.digest({ ram: true })).ram, /^[0-9a-f]{32}$/);
  await tracer.cont();
  t.ok((await tracer.disarm()).icount >= 0);
  t.equal((await tracer.status()).mode, 'dormant');
  t.ok(logBytes >= 72, 'at least the final frame');
  log.destroy();
});

t.test('nonsense is refused with its class, and the connection goes on', { skip }, async (t) => {
  const home = new Home(temporaryFolder(t));
  const machine = await Machine.start(parseSpec('name: web\nmemory: 16M', { base: '/', source: 'test' }), { home });
  t.teardown(() => machine.stop({ graceful: false }));
  const { tracer } = machine;
  t.equal(await codeOf(tracer.probe(-1)), 'E_TRACER_BAD_REQUEST');
  t.equal(await codeOf(tracer.disarm()), 'E_TRACER_WRONG_MODE');
  t.equal(await codeOf(tracer.digest({ ram: false })), 'E_TRACER_NOT_STOPPED');
  const args = { shift: 1, stream: 'none', segmentMs: 10, segmentBytes: 65_536, checkpoint: false };
  t.equal(await codeOf(tracer.arm(args)), 'E_TRACER_NO_STREAM');
  t.equal((await tracer.status()).mode, 'dormant');
});
