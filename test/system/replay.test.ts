// What the tracer records, another QEMU replays to the last bit; and what was damaged on the way is noticed where it is.
// TRMIG_SEED reproduces a run's random choices.
import t from 'tap';
import type { Test } from 'tap';
import { icount } from '../../src/units.js';
import { seeded } from '../machine/random.js';
import { consoleText, discontinuity, waitForLines } from './console.js';
import { boot, generously, stage, type GuestOptions } from './stage.js';
import { Replay, armAndDisarm, frameFields, record, type Recorded } from './tape.js';

t.setTimeout(generously.timeout * 3);
const seed = Number(process.env['TRMIG_SEED'] ?? Date.now() % 1e9);
const rounds = Number(process.env['TRMIG_ARMINGS'] ?? 200);
const small = { workload: 'hotset', memory: '128M', hotsetMib: 8 } satisfies GuestOptions;

t.test(`a machine that was armed and disarmed ${rounds} times is none the worse`, generously, async (t) => {
  const { a, b } = stage(t);
  const machine = await boot(a, { workload: 'hotset', memory: '128M', hotsetMib: 16 });
  t.comment(`TRMIG_SEED=${seed}`);
  const random = seeded(seed);
  const pauses: { arm: number[]; disarm: number[] } = { arm: [], disarm: [] };
  for (let i = 1; i < rounds; i++) {
    const shift = Math.floor(random() * 5);
    const { frames } = await armAndDisarm(machine, shift, 5 + random() * 30);
    const whole = frames.length > 0 && frameFields.isFinal(frames.at(-1)!);
    if (!whole) t.fail(`round ${i}: the log has no end (TRMIG_SEED=${seed})`);
    const made = (await machine.tracer.status()).pauses.slice(-2);
    for (const { what, ns } of made) pauses[what as 'arm' | 'disarm'].push(ns / 1e6);
  }
  for (const [what, ms] of Object.entries(pauses)) {
    const sorted = ms.sort((x, y) => x - y);
    t.comment(`${what}: median ${sorted[sorted.length >> 1]!.toFixed(3)} ms, longest ${sorted.at(-1)!.toFixed(3)} ms`);
  }
  const recorded = await record(machine, Math.floor(random() * 5), 1000);
  t.match(await machine.tracer.status(), { mode: 'dormant', running: true, lost: null });
  await waitForLines(machine.consoleLog, 3);
  t.equal(discontinuity(consoleText(machine.consoleLog)), null, 'the guest goes on');

  const replay = await Replay.begin(t, b, recorded);
  const stopped = await replay.play(recorded.frames);
  const { icount: at, registers, devices } = recorded.finish;
  t.match(stopped, { event: 'reached', data: { final: true, why: 'final', icount: at, registers, devices } });
  t.same(await replay.machine.tracer.digest({ ram: true }), recorded.digest, 'registers, devices and all memory');
});

t.test('a replay of hotset', generously, async (t) => {
  const { a, b } = stage(t);
  const machine = await boot(a, small);
  const recorded = await record(machine, 2, 1500);
  await machine.stop({ graceful: false });
  const { frames, finish } = recorded;
  const random = seeded(seed);
  t.comment(`TRMIG_SEED=${seed}; ${finish.icount} instructions in ${frames.length} segments`);

  await t.test('stops exactly where it is told, twice with the same digests', async (t) => {
    const place = 1 + Math.floor(random() * (finish.icount - 2));
    const seen = [];
    for (let round = 0; round < 2; round++) {
      const replay = await Replay.begin(t, b, recorded, icount(place));
      const stopped = await replay.play(frames);
      t.match(stopped, { event: 'reached', data: { why: 'until', final: false, icount: place } });
      const digest = await replay.machine.tracer.digest({ ram: true });
      t.equal(digest.icount, place);
      seen.push(digest);
      // Instruction by instruction, then to the end: stopping must not have changed what follows.
      t.match(await replay.continue(place + 1), { event: 'reached', data: { why: 'until', icount: place + 1 } });
      t.match(await replay.continue(), { event: 'reached', data: { why: 'final', final: true } });
      t.same(await replay.machine.tracer.digest({ ram: true }), recorded.digest, 'and on to the end');
      await replay.machine.stop({ graceful: false });
    }
    t.same(seen[0], seen[1], `at instruction ${place} (TRMIG_SEED=${seed})`);
  });

  await t.test('notices a flipped bit in a frame', async (t) => {
    const victim = Math.floor(frames.length * (0.3 + 0.4 * random()));
    const bad = Buffer.from(frames[victim]!);
    const bit = Math.floor(random() * (bad.length - 72) * 8);
    bad[72 + (bit >> 3)]! ^= 1 << (bit & 7);
    await stopsBefore(t, recorded, victim, bad, { event: 'reached', data: { final: false, why: 'frame damaged' } });
  });

  await t.test('notices another register at the instruction of the canary', async (t) => {
    const victim = Math.floor(frames.length * (0.3 + 0.4 * random()));
    const bad = Buffer.from(frames[victim]!);
    t.equal(bad.readUInt16LE(frameFields.flagsAt) & 1, 1, 'the segment has a canary');
    const expected = bad.readBigUInt64LE(frameFields.canaryAt) ^ (1n << BigInt(Math.floor(random() * 64)));
    bad.writeBigUInt64LE(expected, frameFields.canaryAt);
    const data = { seq: victim, icount: frameFields.to(bad), expected: expected.toString(16).padStart(16, '0') };
    await stopsBefore(t, recorded, victim, bad, { event: 'diverged', data });
  });

  await t.test('stops where its log ends too early, and does not run on', async (t) => {
    const replay = await Replay.begin(t, b, recorded);
    const half = frames.slice(0, frames.length >> 1);
    const stopped = replay.stopped();
    for (const frame of half) replay.stream.write(frame);
    replay.stream.end();
    const to = frameFields.to(half.at(-1)!);
    t.match(await stopped, { event: 'reached', data: { final: false, why: 'stream lost', icount: to } });
    await stays(t, replay);
  });

  /** Plays with one frame replaced, and expects how that ends. */
  async function stopsBefore(
    t: Test,
    recorded: Recorded,
    victim: number,
    bad: Buffer,
    expected: object,
  ): Promise<void> {
    const replay = await Replay.begin(t, b, recorded);
    const stopped = await replay.play(frames.map((frame, i) => (i === victim ? bad : frame)));
    t.match(stopped, expected, `frame ${victim} of ${frames.length} (TRMIG_SEED=${seed})`);
    t.ok(stopped.data.icount <= frameFields.to(bad), 'not beyond it');
    await stays(t, replay);
  }

  async function stays(t: Test, replay: Replay): Promise<void> {
    const { tracer } = replay.machine;
    t.match(await tracer.status(), { mode: 'playing', running: false }, 'the replay stands still');
    await t.rejects(tracer.live(), { code: 'E_TRACER_WRONG_MODE' }, 'and cannot be taken live');
  }
});

t.test('an idle guest replays many times faster than it ran', generously, async (t) => {
  const { a, b } = stage(t);
  const machine = await boot(a, { workload: 'idle', memory: '128M' }, 2);
  const recorded = await record(machine, 3, 20_000);
  await machine.stop({ graceful: false });
  const replay = await Replay.begin(t, b, recorded);
  const begunMs = performance.now();
  const stopped = await replay.play(recorded.frames);
  const tookMs = performance.now() - begunMs;
  t.match(stopped, { event: 'reached', data: { final: true } });
  t.same(await replay.machine.tracer.digest({ ram: true }), recorded.digest);
  const factor = recorded.virtualNs / 1e6 / tookMs;
  t.comment(
    `${(recorded.virtualNs / 1e9).toFixed(1)} s of guest time in ${tookMs.toFixed(0)} ms: ${factor.toFixed(1)} ×`,
  );
  // The one speed that is asserted, far below what is measured: a replay that slept through idle would be at 1.
  t.ok(factor > 5);
});
