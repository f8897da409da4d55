import t from 'tap';
import { isSettled } from '../../src/migrate/ownership.js';
import { simulate } from './world.js';

const runs = Number(process.env['TRMIG_SIMULATIONS'] ?? 4000);
const first = Number(process.env['TRMIG_SEED'] ?? 1);

t.test('without faults the guest ends at the destination, and both journals are settled', (t) => {
  for (let seed = first; seed < first + 300; seed++) {
    const { world, result } = simulate(seed, 0);
    if (result.end !== 'destination') t.fail(`seed ${seed} ends at ${result.end}`);
    if (!isSettled(world.source.records) || !isSettled(world.destination.records))
      t.fail(`seed ${seed} is not settled`);
    if (world.source.machine !== 'gone') t.fail(`seed ${seed}: the source's QEMU is left over`);
  }
  t.end();
});

t.test('with faults there is never more than one owner, and never none without a command that resolves it', (t) => {
  const ends = { source: 0, destination: 0, resolve: 0, dead: 0 };
  for (let seed = first; seed < first + runs; seed++) ends[simulate(seed, 4).result.end]++;
  t.comment(ends);
  for (const [end, count] of Object.entries(ends)) t.ok(count > runs / 200, `the schedule reaches the end "${end}"`);
  t.end();
});
