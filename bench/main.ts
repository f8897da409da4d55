// The benchmark: trmig and QEMU's own migration in turn, on the same guest over the same shaped link, then the tax. Prints
// tables and leaves out/bench/results.json, which is written anew after each workload: what was measured is not lost when a
// later one breaks.
//
//   node build/bench/main.js [--quick] [--workloads idle,hotset] [--runs 5] [--link 1gbit] [--only rows|tax] [--modes precopy]
import { mkdir, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { WORKLOADS, requireGuest, type Workload } from './guest.js';
import { LINKS, type LinkName } from './hosts.js';
import { describeMachine, type MachineFacts } from './machine-facts.js';
import { QEMU_MODES, type QemuMode } from './qemu.js';
import { measureRows, type Contender, type Row } from './rows.js';
import { rowsTable, taxTable } from './table.js';
import { measureTax, type TaxRow } from './tax.js';

interface Results {
  readonly machine: MachineFacts;
  readonly quick: boolean;
  readonly rows: Row[];
  readonly tax: TaxRow[];
}

const resultsFile = 'out/bench/results.json';
const memory = '256M';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    workloads: { type: 'string' },
    runs: { type: 'string' },
    link: { type: 'string', default: '1gbit' },
    only: { type: 'string' },
    modes: { type: 'string', default: 'precopy' },
    tools: { type: 'string', default: 'trmig,qemu' },
  },
});

/** @throws when a word of a comma-separated option is not one of those allowed */
function choice<T extends string>(option: string, text: string, allowed: readonly T[]): T[] {
  return text.split(',').map((word) => {
    const found = allowed.find((candidate) => candidate === word);
    if (found === undefined) throw new Error(`--${option}: '${word}' is none of ${allowed.join(', ')}`);
    return found;
  });
}

const { quick, only } = values;
const runs = Number(values.runs ?? (quick ? 1 : 5));
if (!Number.isInteger(runs) || runs < 1) throw new Error('--runs: use a whole number from 1 on');
const workloads: readonly Workload[] = values.workloads
  ? choice('workloads', values.workloads, WORKLOADS)
  : quick
    ? ['idle', 'hotset']
    : WORKLOADS;
const [link] = choice('link', values.link, Object.keys(LINKS) as LinkName[]);
const parts = only === undefined ? ['rows', 'tax'] : choice('only', only, ['rows', 'tax']);
const modes = choice('modes', values.modes, Object.keys(QEMU_MODES) as QemuMode[]);
const contenders = choice('tools', values.tools, ['trmig', 'qemu']).flatMap((tool): Contender[] =>
  tool === 'trmig' ? [{ tool, mode: 'trace' }] : modes.map((mode) => ({ tool, mode })),
);

async function save(results: Results): Promise<void> {
  await mkdir(path.dirname(resultsFile), { recursive: true });
  await writeFile(`${resultsFile}.partial`, `${JSON.stringify(results, null, 2)}\n`);
  await rename(`${resultsFile}.partial`, resultsFile);
}

await requireGuest();
const results: Results = { machine: await describeMachine(), quick, rows: [], tax: [] };
const { cpu, cores, kernel, qemu } = results.machine;
console.log(`${cpu}, ${cores} cores, Linux ${kernel}, QEMU ${qemu}; guests of ${memory}, link ${link!}, runs ${runs}`);

for (const workload of parts.includes('rows') ? workloads : []) {
  const rows = await measureRows({
    ...{ workload, memory, link: link!, runs, contenders },
    onRun: ({ tool, mode }, run, { converged, downtimeMs, totalMs, bytesAfterBase }) =>
      console.log(
        `  ${workload} ${tool} ${mode} ${run + 1}/${runs}: ${converged ? `down ${downtimeMs?.toFixed(1)} ms` : 'did not converge'},` +
          ` ${(totalMs / 1000).toFixed(2)} s, ${(bytesAfterBase / 1e6).toFixed(2)} MB after the base`,
      ),
    onBroken: ({ tool, mode }, run, { message }) => {
      console.error(`  ${workload} ${tool} ${mode} ${run + 1}/${runs}: ${message}`);
      process.exitCode = 1;
    },
  });
  results.rows.push(...rows);
  await save(results);
}
for (const workload of parts.includes('tax') ? workloads : []) {
  console.log(`  ${workload}: the tax`);
  // A unit of compile takes a fifth of a second and more: its windows must hold many.
  const windowMs = workload === 'compile' ? 10_000 : 2_000;
  const size = quick
    ? { sets: 1, rounds: 2, windowMs: windowMs / 2, flips: 20 }
    : { sets: 3, rounds: workload === 'compile' ? 2 : 4, windowMs, flips: 200 };
  results.tax.push(await measureTax({ workload, memory, ...size }));
  await save(results);
}

if (results.rows.length > 0) console.log(`\n${rowsTable(results.rows)}`);
if (results.tax.length > 0) console.log(`\n${taxTable(results.tax)}`);
console.log(`\n${resultsFile}`);
