import t from 'tap';
import { cells, gaps } from './plan.js';
import { fastCells } from './fast.js';

t.test('every state of both tables has cells, and a reason for each fault that is not tried in it', (t) => {
  t.same(gaps(), []);
  t.equal(new Set(cells.map(({ name }) => name)).size, cells.length, 'each cell has a name of its own');
  t.ok(fastCells.length >= 10);
  t.end();
});
