// A log that goes on from host to host: who has replayed it to its end records on into it, and whoever replays all of it
// comes to the same machine.
import t from 'tap';
import { Home } from '../../src/machine/index.js';
import { consoleText, discontinuity, waitForLines } from './console.js';
import { boot, generously, sleep, stage, type GuestOptions } from './stage.js';
import { Replay, Tape, frameFields, record } from './tape.js';

t.setTimeout(generously.timeout * 2);

const guests: Record<string, GuestOptions> = {
  'idle x86_64': { workload: 'idle', memory: '128M' },
  'hotset x86_64': { workload: 'hotset', memory: '128M', hotsetMib: 8 },
  'compile x86_64': { workload: 'compile', memory: '192M' },
  'hotset aarch64': { workload: 'hotset', arch: 'aarch64', memory: '128M', hotsetMib: 8 },
};

for (const [what, options] of Object.entries(guests)) {
  t.test(`tracers pass on one log: ${what}`, generously, async (t) => {
    const { a, b, folder } = stage(t);
    const machine = await boot(a, options);
    const first = await record(machine, 2, 1500);
    await machine.stop({ graceful: false });

    const second = await Replay.begin(t, b, first);
    t.match(await second.play(first.frames), { event: 'reached', data: { final: true } });
    const { tracer } = second.machine;
    const tape = new Tape(await tracer.openStream('log'));
    const { pauses } = await tracer.live({ stream: 'log', segmentMs: 20, segmentBytes: 1 << 20 });
    t.comment(`live armed in ${(pauses.totalNs / 1e6).toFixed(3)} ms`);
    t.match(await tracer.status(), { mode: 'armed', running: true, stream: true, lost: null });
    await waitForLines(second.machine.consoleLog, 2);
    await sleep(1000);
    const finish = await tracer.finish(60_000);
    const digest = await tracer.digest({ ram: true });
    await tracer.resume();
    await tape.ended;
    t.match(await tracer.status(), { mode: 'dormant', running: true });
    await waitForLines(second.machine.consoleLog, 2);
    t.equal(discontinuity(consoleText(second.machine.consoleLog)), null);

    const seqs = [...first.frames, ...tape.frames].map((frame) => Number(frame.readBigUInt64LE(16)));
    t.same(seqs, [...seqs.keys()], 'one log');
    t.equal(frameFields.from(tape.frames[0]!), first.finish.icount);

    const third = await Replay.begin(t, new Home(`${folder}/c`), first);
    t.match(await third.play([...first.frames, ...tape.frames]), {
      event: 'reached',
      data: { final: true, icount: first.finish.icount, registers: first.finish.registers },
    });
    const { icount, registers, devices } = finish;
    t.match(await third.continue(), { event: 'reached', data: { final: true, icount, registers, devices } });
    t.same(await third.machine.tracer.digest({ ram: true }), digest, 'registers, devices and all memory');
    await third.machine.tracer.live();
    await waitForLines(third.machine.consoleLog, 2);
  });
}
