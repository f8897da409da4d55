// Many seeds in a row, and what became of them; alone, or as a worker thread that is told its share.
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { simulate } from './world.js';

export interface Share {
  readonly first: number;
  readonly count: number;
  readonly faults: number;
}

export type Tally = Record<'runs' | 'a' | 'b' | 'lost' | 'steps' | 'faults' | 'begun' | 'made' | 'resolved', number>;

export function emptyTally(): Tally {
  return { runs: 0, a: 0, b: 0, lost: 0, steps: 0, faults: 0, begun: 0, made: 0, resolved: 0 };
}

/** @throws Violation of the first seed that has one */
export function tallySeeds({ first, count, faults }: Share): Tally {
  const tally = emptyTally();
  for (let seed = first; seed < first + count; seed++) {
    const { end, moves, ...result } = simulate(seed, { faults }).result;
    tally.runs++;
    tally[end]++;
    tally.steps += result.steps;
    tally.faults += result.faults;
    tally.begun += moves.begun;
    tally.made += moves.made;
    tally.resolved += moves.resolved;
  }
  return tally;
}

if (!isMainThread) parentPort?.postMessage(tallySeeds(workerData as Share));
