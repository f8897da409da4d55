import t from 'tap';
import {
  comfortablePace,
  judge,
  predict,
  type ConvergencePolicy,
  type ConvergenceSample,
  type Verdict,
} from '../../src/migrate/convergence.js';
import { Random } from '../simulate/random.js';

/** A guest, a link and a destination, as far as convergence is concerned. Speeds in instructions per ms. */
interface Plant {
  readonly baseMs: number;
  /** Of the unpaced source at a time. */
  readonly record: (tMs: number) => number;
  /** Of a destination that has work; the source's pace frees cores for it. */
  readonly replay: (tMs: number, pace: number) => number;
  readonly noise?: number;
}

const fixedMs = { stopMs: 0.7, digestMs: 1, journalMs: 2, liveMs: 0.5 };
const usual: ConvergencePolicy = { maxDowntimeMs: 20, timeoutMs: 60_000, onTimeout: 'abort', maxPace: 0.95 };

interface Course {
  readonly verdict: Verdict;
  readonly tMs: number;
  readonly lagInstructions: number;
  readonly paces: readonly number[];
}

function follow(plant: Plant, policy: ConvergencePolicy = usual, seed = 1): Course {
  const random = new Random(seed);
  const stepMs = 10;
  const pipeMs = 20;
  // A guest that computes is paced from the checkpoint on.
  let pace = plant.record(0) > 10_000 ? Math.min(comfortablePace, policy.maxPace) : 0;
  let [source, destination] = [0, 0];
  let closeSinceMs: number | null = null;
  /** Positions of the source, one a step: what has come through the pipe. */
  const positions: number[] = [0];
  const paces: number[] = [];
  for (let atMs = stepMs; atMs < 200_000; atMs += stepMs) {
    source += plant.record(atMs) * stepMs * (1 - pace);
    positions.push(source);
    if (atMs <= plant.baseMs) continue;
    const jitter = 1 + (plant.noise ?? 0) * (2 * random.next() - 1);
    const ahead = positions[Math.max(0, positions.length - 1 - pipeMs / stepMs)]!;
    destination = Math.max(destination, Math.min(ahead, destination + plant.replay(atMs, pace) * jitter * stepMs));
    const verdict = judge(
      {
        atMs,
        baseMs: plant.baseMs,
        sourceIcount: Math.round(source),
        destinationIcount: Math.round(destination),
        caughtUp: destination >= ahead * 0.9999,
        lagLogMs: 0,
        logSpeed: 1,
        closeForMs: closeSinceMs === null ? 0 : atMs - closeSinceMs,
        sourcePerSecond: plant.record(atMs) * 1000,
        replayPerSecond: plant.replay(atMs, pace) * jitter * 1000,
        latencyMs: pipeMs,
        pace,
        rttMs: 0.5,
        fixedMs,
      },
      policy,
    );
    pace = verdict.pace;
    closeSinceMs = verdict.close ? (closeSinceMs ?? atMs) : null;
    paces.push(pace);
    if (verdict.decision !== 'wait') return { verdict, tMs: atMs, lagInstructions: source - destination, paces };
  }
  throw new Error('it never decides');
}

t.test('an idle guest is handed over as soon as its base is there, and never paced', (t) => {
  const { verdict, tMs, paces } = follow({ baseMs: 1000, record: () => 500, replay: () => 400_000 });
  t.equal(verdict.decision, 'handover');
  t.ok(tMs < 1400, `after ${tMs} ms`);
  t.equal(Math.max(...paces), 0);
  t.end();
});

t.test('a guest that replays faster than it records is paced only for its tail', (t) => {
  const { verdict, tMs, paces } = follow({ baseMs: 1000, record: () => 100_000, replay: () => 350_000 });
  t.equal(verdict.decision, 'handover');
  t.ok(tMs < 2000, `after ${tMs} ms`);
  t.equal(paces[0], 0, 'not while the gap closes by itself');
  t.end();
});

for (const baseMs of [500, 1000, 4000, 15_000]) {
  t.test(`a CPU-bound guest is handed over within seven times its base's ${baseMs} ms`, (t) => {
    for (const [name, ratio] of [
      ['0.95', 0.95],
      ['0.7', 0.7],
      ['0.55', 0.55],
    ] as const) {
      const plant = { baseMs, record: () => 130_000, replay: () => 130_000 * ratio };
      const { verdict, tMs, paces, lagInstructions } = follow(plant);
      t.equal(verdict.decision, 'handover');
      t.ok(tMs < Math.max(7 * baseMs, baseMs + 2500), `at ${name} of recording speed: after ${tMs} ms`);
      const tailMs = lagInstructions / (130_000 * ratio);
      t.ok(tailMs < usual.maxDowntimeMs, `with ${tailMs.toFixed(1)} ms to replay`);
      t.ok(Math.max(...paces) <= 0.95);
    }
    t.end();
  });
}

t.test('the pace is not higher than the lag needs, and comfortable where that closes the gap', (t) => {
  const closing = (replay: number): { highest: number; lowest: number } => {
    const { paces } = follow({ baseMs: 2000, record: () => 100_000, replay: () => replay });
    const wide = paces.slice(0, paces.length >> 1);
    return { highest: Math.max(...wide), lowest: Math.min(...wide) };
  };
  t.ok(closing(180_000).highest < 0.1, 'a fast replay needs hardly any');
  t.ok(closing(95_000).highest <= comfortablePace);
  t.ok(closing(55_000).lowest > comfortablePace, 'a slow one would never close it comfortably');
  t.end();
});

t.test('a sprint is short', (t) => {
  const { paces } = follow({ baseMs: 2000, record: () => 100_000, replay: () => 95_000 });
  const hard = paces.filter((pace) => pace > comfortablePace).length;
  t.ok(hard > 0 && hard <= 4, `${hard} steps of 10 ms`);
  t.end();
});

t.test('noise of 40 % neither prevents the handover nor makes it early', (t) => {
  for (let seed = 1; seed <= 20; seed++) {
    const plant = { baseMs: 2000, record: () => 100_000, replay: () => 95_000, noise: 0.4 };
    const { verdict, tMs, lagInstructions } = follow(plant, usual, seed);
    if (verdict.decision !== 'handover') t.fail(`seed ${seed}: ${verdict.decision}`);
    if (tMs > 8000) t.fail(`seed ${seed}: after ${tMs} ms`);
    if (lagInstructions / 95_000 > 1.6 * usual.maxDowntimeMs) t.fail(`seed ${seed}: lag of ${lagInstructions}`);
  }
  t.end();
});

t.test('what cannot converge is told after the timeout, as the policy says', (t) => {
  const plant = { baseMs: 500, record: () => 100_000, replay: () => 3_000 };
  const decisions = (['abort', 'switch'] as const).map((onTimeout) => {
    const { verdict, tMs } = follow(plant, { ...usual, timeoutMs: 5000, onTimeout });
    t.ok(tMs >= 5000 && tMs < 5100);
    return verdict.decision;
  });
  t.strictSame(decisions, ['abort', 'handover']);
  t.end();
});

t.test('a prediction is the sum of its terms, and never negative', (t) => {
  const sample: ConvergenceSample = {
    atMs: 0,
    baseMs: 0,
    sourceIcount: 1_000_000,
    destinationIcount: 500_000,
    caughtUp: true,
    lagLogMs: 0,
    logSpeed: 1,
    closeForMs: 0,
    sourcePerSecond: 0,
    replayPerSecond: 100e6,
    latencyMs: 0,
    pace: 0,
    rttMs: 1,
    fixedMs,
  };
  t.equal(predict(sample).predictedDowntimeMs, 0.7 + 1 + 2 + 0.5 + 2 + 5);
  t.equal(predict({ ...sample, destinationIcount: 2_000_000 }).terms.replayMs, 0);
  t.equal(predict({ ...sample, lagLogMs: 600, logSpeed: 20 }).terms.replayMs, 30, 'an idle guest lags in time');
  t.end();
});

t.test('pacing can be forbidden', (t) => {
  const plant = { baseMs: 1000, record: () => 100_000, replay: () => 90_000 };
  const { verdict, paces } = follow(plant, { ...usual, timeoutMs: 10_000, maxPace: 0 });
  t.equal(verdict.decision, 'abort');
  t.equal(Math.max(...paces), 0);
  t.end();
});

t.test('a guest that turns idle is handed over at once', (t) => {
  const record = (tMs: number): number => (tMs < 3000 ? 100_000 : 100);
  const { verdict, tMs } = follow({ baseMs: 2000, record, replay: () => 95_000 });
  t.equal(verdict.decision, 'handover');
  t.ok(tMs < 6500, `after ${tMs} ms`);
  t.end();
});
