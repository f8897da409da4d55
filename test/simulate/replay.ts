// Replays one seed of the simulation and prints what happened: node build/test/simulate/replay.js --seed 8123
import { parseArgs } from 'node:util';
import { simulate } from './world.js';

const { values } = parseArgs({
  options: { seed: { type: 'string', default: '1' }, faults: { type: 'string', default: '4' } },
});
try {
  const { result } = simulate(Number(values.seed), Number(values.faults));
  for (const line of result.trace) console.log(line);
  console.log(`ends at: ${result.end}, after ${result.steps} steps and ${result.faults} faults`);
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
