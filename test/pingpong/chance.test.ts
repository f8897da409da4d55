import t from 'tap';
import { choose, disturbances, nameOf } from './chance.js';

const rounds = Array.from({ length: 3_000 }, (_, i) => choose(1, i + 1));

t.test('a round is the same again, whatever was before it', async (t) => {
  t.same(choose(1, 700), rounds[699]);
  t.notSame(
    rounds.slice(0, 100),
    Array.from({ length: 100 }, (_, i) => choose(5_000, i + 1)),
  );
});

t.test('every fault comes, and now and then none', async (t) => {
  const names = new Set(rounds.map(nameOf));
  t.same(
    disturbances.map((one) => one.join(' ')).filter((name) => !names.has(name)),
    [],
  );
  t.ok(names.has('undisturbed'));
});

t.test('no fault takes the guest from where it is alone', async (t) => {
  const names = rounds.map(nameOf);
  t.notOk(names.includes('kill-qemu source'));
  t.notOk(names.includes('diverge source'));
});
