// Holds the departure of the machine `m` until it is killed: `node departing-process.js HOME`.
import { Home } from '../../src/machine/index.js';
import { whileDeparting } from '../../src/migrate/departure.js';

const forever = new Promise((resolve) => process.stdin.once('end', resolve).resume());
await whileDeparting(new Home(process.argv[2] ?? '').machine('m'), async () => {
  process.stdout.write('held\n');
  await forever;
});
