// Some of the fault table; test/soak/faults.test.ts has all of it.
import t from 'tap';
import { generously } from '../system/stage.js';
import { fastCells } from './fast.js';
import { tryCells } from './table.js';

t.setTimeout(generously.timeout * 2);
t.test('one owner, whatever breaks', { ...generously, timeout: generously.timeout * 2 }, (t) => tryCells(t, fastCells));
