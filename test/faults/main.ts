// Runs single cells of the fault table: node build/test/faults/main.js --cell kill-source:draining [--cell …]
// --list names all; a prefix of a name takes all cells that begin so.
import { parseArgs } from 'node:util';
import t from 'tap';
import { cells } from './plan.js';
import { tryCells } from './table.js';

const { values } = parseArgs({
  options: { cell: { type: 'string', multiple: true, default: [] }, list: { type: 'boolean', default: false } },
});
if (values.list) for (const { name } of cells) console.log(name);
else {
  const chosen = cells.filter(({ name }) => values.cell.some((one) => name.startsWith(one)));
  if (chosen.length === 0) throw new Error('no such cell: --list names them');
  t.setTimeout(3_600_000);
  t.test('cells', { timeout: 3_600_000 }, (t) => tryCells(t, chosen));
}
