// The picture of a benchmark: what stands in it, not how it looks.
import t from 'tap';
import { plot } from '../../bench/plot.js';
import { rowOf } from '../../bench/results.js';
import { outcome } from './outcomes.js';

const stuck = outcome({ converged: false, downtimeMs: null });

t.test('each row has a mark in each panel, and one that never arrived a hollow one instead', async (t) => {
  const arrived = rowOf({ workload: 'idle', link: '1gbit', tool: 'trmig', mode: 'trace' }, '256M', [outcome()]);
  const never = rowOf({ workload: 'idle', link: '1gbit', tool: 'qemu', mode: 'precopy' }, '256M', [stuck]);
  const svg = plot([arrived, never])!;
  const marks = [...svg.matchAll(/<path [^>]*fill="([^"]+)" stroke="([^"]+)"/g)].map(([, fill, stroke]) =>
    fill === 'none' ? `hollow ${stroke}` : fill,
  );
  const [red, blue] = [marks[0], marks[1]];
  t.equal(marks.filter((mark) => mark === red).length, 4, 'the legend and three panels');
  t.equal(marks.filter((mark) => mark === blue).length, 2, 'the legend and the bytes, which it sent in vain');
  t.equal(marks.filter((mark) => mark === `hollow ${blue}`).length, 2, 'neither downtime nor total time');
  t.match(svg, /1 Gb\/s/);
  t.notMatch(svg, /100 Mb\/s|NaN|undefined|null/);
});

t.test('nothing measured, nothing drawn', async (t) => {
  t.equal(plot([]), null);
});

t.test('a downtime of nothing is drawn at the axis, not beyond it', async (t) => {
  const row = rowOf({ workload: 'echo', link: '100mbit', tool: 'trmig', mode: 'trace' }, '256M', [
    outcome({ downtimeMs: 0 }),
  ]);
  t.notMatch(plot([row])!, /NaN|Infinity|-\d+(\.\d+)? \d+\)"/);
});
