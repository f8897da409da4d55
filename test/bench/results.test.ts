// What a benchmark keeps of its moves, from one sitting to the next.
import path from 'node:path';
import t from 'tap';
import type { MachineFacts } from '../../bench/machine-facts.js';
import { continued, outcomesOf, rowOf, save, withRow, type Case, type Row } from '../../bench/results.js';
import { outcome } from './outcomes.js';

const machine: MachineFacts = {
  ...{ cpu: 'c', cores: 2, memoryBytes: 1, kernel: 'k', system: 's', qemu: '10.0.2', node: '20' },
  ...{ date: 'd', load: 0 },
};
const idle: Case = { workload: 'idle', link: '1gbit', tool: 'trmig', mode: 'trace' };
const precopy: Case = { ...idle, tool: 'qemu', mode: 'precopy' };

t.test("a row's figures are those of its runs; of those that arrived where that matters", async (t) => {
  const row = rowOf(precopy, '256M', [
    outcome({ downtimeMs: 30, bytes: 1e6 }),
    outcome({ downtimeMs: 10, bytes: 2e6 }),
    outcome({ converged: false, downtimeMs: null, totalMs: 20_000, bytes: 9e6 }),
  ]);
  t.match(row, { runs: 3, converged: 2, downtimeMs: { min: 10, median: 20, max: 30 }, totalMs: { max: 2000 } });
  t.same(row.bytes, { min: 1e6, median: 2e6, max: 9e6 });
  t.equal(row.udpSilenceMs, null);
});

t.test('a further run replaces its row, and leaves the others', async (t) => {
  let rows: Row[] = [];
  for (const [of, runs] of [
    [{ ...idle, link: '100mbit' }, 1],
    [{ ...idle, workload: 'hotset' }, 1],
    [precopy, 1],
    [idle, 1],
    [idle, 2],
  ] as [Case, number][]) {
    rows = withRow(rows, rowOf(of, '256M', [...outcomesOf(rows, of), outcome({ downtimeMs: runs })]));
  }
  t.same(
    rows.map(({ workload, link, tool, runs }) => `${workload} ${link} ${tool} ${runs}`),
    ['idle 1gbit trmig 2', 'idle 1gbit qemu 1', 'hotset 1gbit trmig 1', 'idle 100mbit trmig 1'],
    'by link, workload and contender, whatever came first',
  );
});

t.test('what was saved is gone on from, on the same machine only', async (t) => {
  const file = path.join(t.testdir(), 'bench', 'results.json');
  await t.rejects(continued(file, machine), { code: 'ENOENT' });
  const results = { machine, quick: false, rows: [rowOf(idle, '256M', [outcome()])], tax: [] };
  await save(file, results);
  t.same(await continued(file, { ...machine, date: 'later', load: 3 }), results);
  await t.rejects(continued(file, { ...machine, cores: 64 }), /another machine \(cores 2, not 64\)/);
});
