// TRMIG_SIMULATIONS is how many schedules with faults, TRMIG_SEED the first one's seed.
import t from 'tap';
import { isSettled } from '../../src/migrate/ownership.js';
import { tallySeeds } from './tally.js';
import { simulate } from './world.js';

const runs = Number(process.env['TRMIG_SIMULATIONS'] ?? 20_000);
const first = Number(process.env['TRMIG_SEED'] ?? 1);

t.test('without faults the guest moves to and fro, and both journals are settled', (t) => {
  for (let seed = first; seed < first + 300; seed++) {
    const { world, result } = simulate(seed, { faults: 0 });
    const { begun, made, resolved } = result.moves;
    // One that is begun before the other host has cleared away what it had is refused.
    if (made === 0 || made > begun || resolved > 0) t.fail(`seed ${seed}: ${made} of ${begun} moves were made`);
    if (result.end !== (made % 2 === 0 ? 'a' : 'b')) t.fail(`seed ${seed} ends at ${result.end}`);
    for (const { journal } of world.hosts) {
      if (!isSettled(journal.records)) t.fail(`seed ${seed} is not settled`);
    }
  }
  t.end();
});

t.test('with faults there is never more than one owner, and never none without a command that resolves it', (t) => {
  const begunMs = performance.now();
  const tally = tallySeeds({ first, count: runs, faults: 5 });
  t.comment({ perSecond: Math.round((runs * 1000) / (performance.now() - begunMs)), ...tally });
  for (const end of ['a', 'b', 'lost'] as const) t.ok(tally[end] > runs / 100, `the schedules reach the end "${end}"`);
  t.ok(tally.resolved > runs / 20, 'a person was asked');
  t.ok(tally.made > runs, 'guests moved');
  t.end();
});
