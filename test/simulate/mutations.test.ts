// A simulation proves a guard only if it fails without it: each mutation must be caught, and soon.
import t from 'tap';
import { mutations } from './mutations.js';
import type { protocol } from './protocol.js';
import { Violation, simulate } from './world.js';

const seedsMax = 20_000;

/** The first seed that a protocol does not survive; null for none of the first `count`. */
function caught(mutated: typeof protocol, count: number): { readonly seed: number; readonly message: string } | null {
  for (let seed = 1; seed <= count; seed++) {
    try {
      simulate(seed, { faults: 5, protocol: mutated });
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      return { seed, message: error.message.split('\n')[0]! };
    }
  }
  return null;
}

for (const [name, mutated] of Object.entries(mutations)) {
  t.test(`it is noticed when ${name}`, (t) => {
    const found = caught(mutated, seedsMax);
    t.ok(found, `within ${seedsMax} seeds`);
    if (found) t.comment(`seed ${found.seed}: ${found.message}`);
    t.end();
  });
}
