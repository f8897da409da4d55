// Every fault in every state, on real guests. A single cell: node build/test/faults/main.js --cell kill-source:draining
import t from 'tap';
import { cells } from '../faults/plan.js';
import { tryCells } from '../faults/table.js';
import { withoutGuests } from '../system/stage.js';

const timeout = 3 * 3_600_000;
t.setTimeout(timeout);
t.test('one owner, whatever breaks, whenever', { timeout, skip: withoutGuests }, (t) => tryCells(t, cells));
