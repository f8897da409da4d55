// Replays one seed of the simulation and prints what happened:
// node build/test/simulate/replay.js --seed 8123 [--faults 4] [--mutation NAME]
import { parseArgs } from 'node:util';
import { mutations } from './mutations.js';
import { World } from './world.js';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    faults: { type: 'string', default: '4' },
    mutation: { type: 'string' },
  },
});
const protocol = values.mutation === undefined ? undefined : mutations[values.mutation];
const world = new World(Number(values.seed), {
  faults: Number(values.faults),
  tells: true,
  ...(protocol && { protocol }),
});
try {
  const { end, steps, faults } = world.run();
  for (const line of world.trace) console.log(line);
  console.log(`ends at: ${end}, after ${steps} steps and ${faults} faults`);
} catch (error) {
  for (const line of world.trace) console.log(line);
  console.error((error as Error).message);
  process.exitCode = 1;
}
