// A million schedules of moves and faults, on all cores. TRMIG_SIMULATIONS is how many, TRMIG_SEED the first one's seed.
import os from 'node:os';
import { Worker } from 'node:worker_threads';
import t from 'tap';
import { emptyTally, type Share, type Tally } from '../simulate/tally.js';

const runs = Number(process.env['TRMIG_SIMULATIONS'] ?? 1_000_000);
const first = Number(process.env['TRMIG_SEED'] ?? 1_000_001);
/** Small enough that no worker is left alone with a large one at the end. */
const shareRuns = 10_000;

t.setTimeout(3_600_000);

/** @throws Violation */
function inWorker(share: Share): Promise<Tally> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('../simulate/tally.js', import.meta.url), { workerData: share });
    worker.once('message', resolve).once('error', reject);
  });
}

t.test('no schedule makes two owners, or none unsaid', async (t) => {
  const begunMs = performance.now();
  const sum = emptyTally();
  let next = first;
  const works = async (): Promise<void> => {
    while (next < first + runs) {
      const share = { first: next, count: Math.min(shareRuns, first + runs - next), faults: 6 };
      next += share.count;
      const tally = await inWorker(share);
      for (const key of Object.keys(sum) as (keyof Tally)[]) sum[key] += tally[key];
    }
  };
  await Promise.all(Array.from({ length: os.availableParallelism() }, works));
  const seconds = (performance.now() - begunMs) / 1000;
  t.comment({ seconds: Math.round(seconds), perSecond: Math.round(runs / seconds), ...sum });
  t.equal(sum.runs, runs);
});
