// The tracer inside a real QEMU with a real guest: leases, lost readers, giving away, refusals. The guest survives it all.
// TRMIG_SEED reproduces a run's random choices.
import net from 'node:net';
import t from 'tap';
import type { Test } from 'tap';
import type { Machine } from '../../src/machine/index.js';
import { TracerClient } from '../../src/machine/index.js';
import { codeOf } from '../machine/fake-peer.js';
import { anyValue, damaged, seeded } from '../machine/random.js';
import { consoleText, discontinuity, waitForLines } from './console.js';
import { boot, generously, sleep, stage, until, type GuestOptions } from './stage.js';
import { Tape, frameFields } from './tape.js';

t.setTimeout(generously.timeout * 3);
const seed = Number(process.env['TRMIG_SEED'] ?? Date.now() % 1e9);
const small = { workload: 'hotset', memory: '128M', hotsetMib: 8 } satisfies GuestOptions;
const arming = { shift: 2, stream: 'log', segmentMs: 20, segmentBytes: 1 << 20, checkpoint: false };

async function guest(t: Test, options: GuestOptions = small): Promise<Machine> {
  const { a } = stage(t);
  return boot(a, options);
}

/** The guest runs, and nothing that it has written was lost or written twice. */
async function goesOn(t: Test, machine: Machine): Promise<void> {
  await waitForLines(machine.consoleLog, 3);
  t.equal(discontinuity(consoleText(machine.consoleLog)), null, 'the guest goes on');
}

async function armed(machine: Machine): Promise<Tape> {
  const tape = new Tape(await machine.tracer.openStream('log'));
  await machine.tracer.arm(arming);
  return tape;
}

t.test("a stop's lease runs out and the guest goes on", generously, async (t) => {
  const machine = await guest(t);
  const { tracer } = machine;
  const lease = tracer.events.next(['lease']);
  await tracer.stop(200);
  t.match(await tracer.status(), { mode: 'dormant', running: false, stoppedBy: 'stop' });
  await lease;
  t.match(await tracer.status(), { mode: 'dormant', running: true, stoppedBy: null, leaseMs: 0 });
  await goesOn(t, machine);

  const tape = await armed(machine);
  const second = tracer.events.next(['lease']);
  await tracer.finish(200);
  await tape.ended;
  t.ok(frameFields.isFinal(tape.frames.at(-1)!), 'the log had been finished');
  await second;
  t.match(await tracer.status(), { mode: 'dormant', running: true, stoppedBy: null }, 'dormant again by itself');
  await goesOn(t, machine);
});

t.test('a lease that is renewed does not run out', generously, async (t) => {
  const machine = await guest(t);
  const { tracer } = machine;
  await tracer.stop(400);
  for (let i = 0; i < 10; i++) {
    await sleep(100);
    await tracer.renew(600_000);
  }
  t.match(await tracer.status(), { running: false });
  await tracer.cont();
  t.equal(await codeOf(tracer.renew(1000)), 'E_TRACER_WRONG_MODE', 'there is none any more');
  await goesOn(t, machine);
});

t.test("when the log's reader vanishes the tracer disarms itself and says so", generously, async (t) => {
  const machine = await guest(t);
  const { tracer } = machine;
  const tape = await armed(machine);
  await until('something was logged', () => tape.frames.length > 2);
  await tracer.pace(0.5);
  const lost = tracer.events.next(['lost']);
  tape.stream.destroy();
  t.match((await lost).data.reason, /reader/);
  t.match(await tracer.status(), { mode: 'dormant', running: true, lost: /reader/, pace: 0 });
  await goesOn(t, machine);
  const again = await armed(machine);
  t.match(await tracer.status(), { mode: 'armed', lost: null }, 'and can be armed again');
  await tracer.disarm();
  await again.ended;
  await goesOn(t, machine);
});

t.test('a machine that was given away stays stopped until it is reclaimed', generously, async (t) => {
  const machine = await guest(t);
  const { tracer } = machine;
  const tape = await armed(machine);
  await sleep(100);
  t.equal(await codeOf(tracer.relinquish()), 'E_TRACER_WRONG_MODE', 'only a finished log can be given away');
  await tracer.finish(300);
  await tracer.relinquish();
  await until('the log is here to its end', () => tape.frames.some(frameFields.isFinal));
  await sleep(600);
  t.match(await tracer.status(), {
    mode: 'armed',
    running: false,
    owned: false,
    leaseMs: 0,
    stoppedBy: 'relinquished',
  });
  for (const attempt of [tracer.resume(), tracer.cont(), tracer.disarm()]) {
    t.equal(await codeOf(attempt), 'E_TRACER_WRONG_MODE');
  }
  const second = await TracerClient.connect(tracer.path);
  second.close();
  t.match(await tracer.status(), { running: false, owned: false }, 'no client coming or going changes that');
  await tracer.reclaim();
  t.match(await tracer.status(), { mode: 'dormant', running: true, owned: true });
  t.equal(await codeOf(tracer.reclaim()), 'E_TRACER_WRONG_MODE');
  await goesOn(t, machine);
});

t.test('commands in the wrong mode are refused and change nothing', generously, async (t) => {
  const machine = await guest(t);
  const { tracer } = machine;
  const play = { stream: 'log' };
  const wrong = async (attempts: Record<string, () => Promise<unknown>>): Promise<void> => {
    for (const [name, attempt] of Object.entries(attempts)) {
      t.match(await codeOf(attempt()), /^E_TRACER_(WRONG_MODE|NOT_STOPPED|NO_STREAM|BAD_REQUEST)$/, name);
    }
  };
  const deviceState = Buffer.alloc(64);
  await wrong({
    disarm: () => tracer.disarm(),
    finish: () => tracer.finish(1000),
    pace: () => tracer.pace(0.1),
    segment: () => tracer.segment({ ms: 10, bytes: 4096 }),
    'play while it runs': () => tracer.play(play),
    continue: () => tracer.continue(),
    live: () => tracer.live(),
    'restore while it runs': () => tracer.restore({ shift: 1, deviceState }),
    'digest while it runs': () => tracer.digest({ ram: false }),
    'freeze while it runs': () => tracer.freeze(),
    'thaw what is no image': () => tracer.thaw(machine.process.pid),
    'arm without a stream': () => tracer.arm({ ...arming, stream: 'none' }),
  });
  await tracer.stop(60_000);
  t.equal(await codeOf(tracer.play(play)), 'E_TRACER_WRONG_MODE', 'play without a restored state');
  t.equal(await codeOf(tracer.restore({ shift: 1, deviceState })), 'E_TRACER_FAILED', 'a state that is none');
  await tracer.cont();
  const tape = await armed(machine);
  await wrong({
    'arm twice': () => tracer.arm(arming),
    probe: () => tracer.probe(50),
    'play while armed': () => tracer.play(play),
    'live while armed': () => tracer.live(),
    'restore while armed': () => tracer.restore({ shift: 1, deviceState }),
  });
  await tracer.finish(60_000);
  await wrong({
    'finish twice': () => tracer.finish(1000),
    stop: () => tracer.stop(1000),
    cont: () => tracer.cont(),
  });
  await tracer.resume();
  await tape.ended;
  await goesOn(t, machine);
});

t.test('garbage on the control socket gets one error a line, and the tracer lives', generously, async (t) => {
  const machine = await guest(t);
  const { tracer } = machine;
  /** What it says to `text` before it answers the status asked for after it, or closes. */
  const answers = (text: string | Buffer): Promise<unknown[]> => {
    const socket = net.connect(tracer.path);
    let heard = '';
    return new Promise((resolve) => {
      const done = (): void => {
        socket.destroy();
        const lines = heard.split('\n').filter((line) => line !== '');
        resolve(
          lines.map((line) => JSON.parse(line) as object).filter((line) => !('id' in line && line.id === 987654)),
        );
      };
      socket.on('data', (chunk: Buffer) => {
        heard += chunk.toString('utf8');
        if (/"id": ?987654\}\n/.test(heard)) done();
      });
      socket.on('error', () => undefined);
      socket.once('close', done);
      socket.write(text);
      socket.write('\n{"execute":"status","id":987654}\n');
    });
  };
  const error = { error: { class: 'BadRequest' } };
  t.match(await answers('garbage{{{\n'), [error]);
  t.match(await answers('[1]\n7\n"x"\nnull\n'), [error, error, error, error]);
  t.match(await answers('{"execute":"nope","id":3}\n'), [{ error: { class: 'UnknownCommand' }, id: 3 }]);
  t.match(await answers('{"id":4}\n{"execute":{},"id":5}\n'), [error, error]);
  t.match(await answers(`${'['.repeat(100_000)}\n`), [error]);
  t.match(await answers(Buffer.from([0xff, 0xfe, 0x00, 0x0a])), [error]);

  t.comment(`TRMIG_SEED=${seed}`);
  const random = seeded(seed);
  // Nothing that a lucky guess could stop the guest with.
  const commands = ['hello', 'status', 'segment', 'pace', 'renew', 'thaw', 'digest', 'freeze', 'continue', 'live'];
  for (let i = 0; i < 150; i++) {
    const request = {
      execute: commands[Math.floor(random() * commands.length)],
      arguments: { ms: anyValue(random), pid: anyValue(random), fraction: anyValue(random), until: anyValue(random) },
      id: i,
    };
    const line = Buffer.from(`${JSON.stringify(random() < 0.1 ? anyValue(random) : request)}\n`);
    await answers(random() < 0.5 ? line : damaged(line, random));
  }
  t.match(await tracer.status(), { mode: 'dormant', running: true, owned: true }, `TRMIG_SEED=${seed}`);
  await goesOn(t, machine);
});
