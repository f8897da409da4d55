// kill -9 of the source's trmig before the handover: the guest runs on, the tracer finds its way back to dormant by itself,
// and the machine can be migrated again. TRMIG_KILLS adds so many kills at moments that TRMIG_SEED chooses.
import t from 'tap';
import { Machine } from '../../src/machine/index.js';
import { standingOf } from '../../src/migrate/standing.js';
import { seeded } from '../machine/random.js';
import { receiverProcess, senderProcess } from './child.js';
import { Transcript, consoleText, counters, discontinuity, waitForLines } from './console.js';
import { boot, generously, leftBeside, leftOn, receiver, sleep, stage, until } from './stage.js';

t.setTimeout(generously.timeout * 2);

const seed = Number(process.env['TRMIG_SEED'] ?? Date.now() % 1e9);
const kills = Number(process.env['TRMIG_KILLS'] ?? 0);

t.test('the guest survives its migration being killed', generously, async (t) => {
  const { a, b } = stage(t);
  const machine = await boot(a, { workload: 'hotset', memory: '128M', hotsetMib: 32 });
  const { consoleLog } = machine;
  const transcript = new Transcript();
  transcript.arrives(a);

  t.comment(`TRMIG_SEED=${seed}`);
  const random = seeded(seed);
  const sometime = Array.from({ length: kills }, () => ['arming', Math.floor(random() * 5000)] as const);
  for (const [at, laterMs] of [['arming', 0], ['shipping', 100], ['catching-up', 500], ...sometime] as const) {
    await t.test(`while ${at}, ${laterMs} ms into it`, async (t) => {
      const taking = await receiver(t, b);
      const sender = senderProcess(t, a, taking.port, 0.01);
      await sender.says('phase', at);
      await sleep(laterMs);
      await sender.kill();
      const killed = await standingOf('m', { home: a });
      t.match(killed, { state: 'running', tracer: { running: true } }, 'status reaches it at once');
      t.match(killed.ownership, { owner: 'here', error: null });
      await waitForLines(consoleLog, 3);
      t.equal(discontinuity(consoleText(consoleLog)), null, 'the guest goes on');

      const begunMs = performance.now();
      await until('the tracer is dormant', async () => {
        return (await standingOf('m', { home: a })).tracer?.mode === 'dormant';
      });
      t.comment(`dormant again ${((performance.now() - begunMs) / 1000).toFixed(1)} s later`);
      const { tracer } = await standingOf('m', { home: a });
      t.match(tracer, { running: true, pace: 0, owned: true, leaseMs: 0 });
      t.same(leftBeside(a, machine.process.pid), [], 'no frozen image and no file is left beside the machine');
      await until('the receiver has given up', () => taking.results.length > 0);
      t.match(taking.results[0]?.phase, { at: 'discarded' });
      t.same(leftOn(b), [], 'nothing is left on the destination');
    });
  }

  await t.test('and is migrated after all', async (t) => {
    const taking = await receiverProcess(t, b);
    const sender = senderProcess(t, a, taking.port, 500);
    t.match(await sender.says('result'), { result: 'retired', code: null });
    transcript.arrives(b);
    await waitForLines(b.machine('m').consoleLog, 3);
    t.equal(discontinuity(transcript.text), null, `${counters(transcript.text).length} lines without a gap`);
    t.match(await standingOf('m', { home: b }), { ownership: { owner: 'here', advice: null } });
    t.match(await standingOf('m', { home: a }), { state: 'stopped', ownership: { owner: 'there', advice: null } });
    t.same(leftOn(a), []);
  });
});

t.test('a lease gives the guest back when its trmig dies with the guest stopped', generously, async (t) => {
  const { a, b } = stage(t);
  const { consoleLog } = await boot(a, { workload: 'hotset', memory: '128M', hotsetMib: 8 });
  const taking = await receiverProcess(t, b);
  const sender = senderProcess(t, a, taking.port, 500);
  // The destination cannot answer any more: the source stays stopped, waiting for it.
  await taking.says('phase', 'replaying');
  taking.process.kill('SIGSTOP');
  await sender.says('phase', 'awaiting-ready').catch(() => undefined);
  await sender.kill();
  const machine = await Machine.open('m', { home: a });
  await until('the guest runs', async () => (await machine.tracer.status()).running);
  t.match(await machine.tracer.status(), { mode: /dormant|armed/, owned: true });
  machine.close();
  await waitForLines(consoleLog, 3);
  t.equal(discontinuity(consoleText(consoleLog)), null, 'the guest goes on');
});
