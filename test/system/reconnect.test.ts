// A link that is lost under a migration: it goes on where it stopped, and the guest does not notice; if the link stays away, the
// guest stays too.
import { statSync } from 'node:fs';
import t from 'tap';
import type { Test } from 'tap';
import { Machine } from '../../src/machine/index.js';
import { migrate, type MigrateOptions } from '../../src/migrate/migrate.js';
import type { SourcePhase } from '../../src/migrate/source-states.js';
import type { SourceResult } from '../../src/migrate/source.js';
import { Brittle } from '../wire/brittle.js';
import { Transcript, consoleText, discontinuity, waitForLines } from './console.js';
import {
  boot,
  generously,
  leftBeside,
  leftOn,
  receiver,
  stage,
  until,
  type GuestOptions,
  type Stage,
  type TestReceiver,
} from './stage.js';

t.setTimeout(generously.timeout * 3);
const small = { workload: 'hotset', memory: '128M', hotsetMib: 32 } satisfies GuestOptions;
const policy = { maxDowntimeMs: 500, timeoutMs: 120_000, onTimeout: 'switch', maxPace: 0.95 } as const;

async function move(
  { a, b }: Pick<Stage, 'a' | 'b'>,
  port: number,
  more: Partial<MigrateOptions> = {},
): Promise<SourceResult & { readonly consoleFrom: number }> {
  const consoleFrom = statSync(b.machine('m').consoleLog, { throwIfNoEntry: false })?.size ?? 0;
  const machine = await Machine.open('m', { home: a });
  try {
    const result = await migrate(machine, { host: '127.0.0.1', port, verify: true, policy, ...more });
    return { ...result, consoleFrom };
  } finally {
    machine.close();
  }
}

/** A guest at host a, a receiver at host b, and a way to it that breaks when it is told to. */
async function setOut(t: Test): Promise<{ scene: Stage; taking: TestReceiver; way: Brittle }> {
  const scene = stage(t);
  (await boot(scene.a, small)).close();
  const taking = await receiver(t, scene.b);
  const way = await Brittle.to(taking.port);
  t.teardown(() => way.close());
  return { scene, taking, way };
}

t.test('cut during the base, during the log, and while it recovers, a migration arrives', generously, async (t) => {
  const { a, b } = stage(t);
  const receivers = { a: await receiver(t, a), b: await receiver(t, b) };
  const transcript = new Transcript();
  transcript.arrives(a);
  // Its memory is as full now as it will be; the cap keeps what is under way, and so what a cut loses, small.
  (await boot(a, { workload: 'idle', memory: '256M' }, 20)).close();
  const bytesPerSecondMax = 20e6;

  // The first connection breaks in the midst of the base, the second when it is told to, the third in its handshake.
  const bytesLeft = [20e6, Infinity, 200, Infinity];
  const way = await Brittle.to(receivers.b.port, () => bytesLeft[way.connections]!);
  t.teardown(() => way.close());
  const phases: string[] = [];
  const gaps: number[] = [];
  const result = await move({ a, b }, way.port, {
    reconnectMs: 30_000,
    bytesPerSecondMax,
    onPhase: ({ at }: SourcePhase) => {
      phases.push(at);
      if (at === 'catching-up') way.cut();
    },
    onProgress: ({ linkBrokenForMs }) => {
      if (linkBrokenForMs !== null) gaps.push(linkBrokenForMs);
    },
  });
  transcript.arrives(b, result.consoleFrom);
  const { report } = result;
  t.match(result, { error: null, phase: { at: 'retired' }, report: { outcome: 'completed', owner: 'destination' } });
  const { link } = report;
  t.same([way.connections, way.cuts], [4, 3]);
  t.equal(link.reconnects, 2, 'the third cut was during the recovery from the second');
  t.ok(link.brokenMs > 0 && gaps.length > 0, 'who watches is told');
  t.equal(new Set(phases).size, phases.length, 'no phase began anew');
  t.match(report.digests, { ram: 'equal', devices: 'equal', registers: 'equal' });
  await until('the receiver says how it went', () => receivers.b.results.length > 0);
  t.match(receivers.b.results, [{ phase: { at: 'live' }, error: null }]);
  t.same(leftOn(a), []);
  await waitForLines(b.machine('m').consoleLog, 3);

  const undisturbed = await move({ a: b, b: a }, receivers.a.port, { bytesPerSecondMax });
  transcript.arrives(a, undisturbed.consoleFrom);
  t.match(undisturbed, { error: null, report: { link: { reconnects: 0, brokenMs: 0 } } });
  await waitForLines(a.machine('m').consoleLog, 3);
  t.equal(discontinuity(transcript.text), null, "the guest's counter goes on");
  const [bytes, whole] = [report.bytes.total, undisturbed.report.bytes.total];
  t.comment(
    `${bytes} bytes (${whole} undisturbed), away for ${link.brokenMs.toFixed(0)} ms of ${report.totalMs.toFixed(0)}, ` +
      `downtime ${report.downtimeMs?.toFixed(1)} ms (${undisturbed.report.downtimeMs?.toFixed(1)})`,
  );
  t.ok(bytes < 1.3 * whole, 'nothing was sent from its beginning again');
});

for (const at of ['shipping', 'catching-up'] as const) {
  t.test(`a link that stays away from ${at} on leaves the guest where it is`, generously, async (t) => {
    const { scene, taking, way } = await setOut(t);
    const { a, b } = scene;
    const reconnectMs = 1500;
    let cutMs = 0;
    const { phase, error, report } = await move(scene, way.port, {
      reconnectMs,
      onPhase: (phase) => {
        if (phase.at !== at) return;
        cutMs = performance.now();
        way.close();
      },
    });
    const waitedMs = performance.now() - cutMs;
    t.match({ phase, error }, { phase: { at: 'failed' }, error: { code: 'E_LINK_GONE', hint: /--reconnect/ } });
    t.match(report, { outcome: 'failed', owner: 'source', downtimeMs: null, link: { reconnects: 0 } });
    const { brokenMs } = report.link;
    t.ok(brokenMs > 0.9 * reconnectMs && brokenMs < waitedMs, `away for ${brokenMs} of ${waitedMs} ms`);
    await until('the receiver has given up', () => taking.results.length > 0);
    t.match(taking.results, [{ phase: { at: 'discarded' }, error: { code: 'E_LINK_GONE' } }]);
    t.same(leftOn(b), [], 'the destination is left clean');
    const machine = await Machine.open('m', { home: a });
    t.match(await machine.tracer.status(), { mode: 'dormant', running: true, pace: 0, owned: true, stream: false });
    machine.close();
    await waitForLines(machine.consoleLog, 5);
    t.equal(discontinuity(consoleText(machine.consoleLog)), null, 'the guest goes on');
    t.same(leftBeside(a, machine.process.pid), []);
  });
}

t.test('a migration that is cancelled while its link is away ends at once', generously, async (t) => {
  const { scene, taking, way } = await setOut(t);
  const cancel = new AbortController();
  let cancelledMs = 0;
  const { phase, error } = await move(scene, way.port, {
    reconnectMs: 60_000,
    signal: cancel.signal,
    onPhase: ({ at }) => at === 'catching-up' && way.close(),
    onProgress: ({ linkBrokenForMs }) => {
      if (linkBrokenForMs === null || cancel.signal.aborted) return;
      cancelledMs = performance.now();
      cancel.abort();
    },
  });
  const waitedMs = performance.now() - cancelledMs;
  t.match({ phase, error }, { phase: { at: 'aborted' }, error: { code: 'E_ABORTED' } });
  t.ok(waitedMs < 5_000, `after ${waitedMs.toFixed(0)} ms`);
  t.match(taking.results, [], 'its destination waits still');

  // The same source, with the same machine: what waits for it in vain makes room.
  const again = await move(scene, taking.port);
  t.match(again, { error: null, phase: { at: 'retired' } });
  await until('the receiver says how both went', () => taking.results.length > 1);
  t.match(taking.results, [{ phase: { at: 'discarded' } }, { phase: { at: 'live' } }]);
});
