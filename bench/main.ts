// The benchmark: trmig and QEMU's own migration in turn, on the same guests over the same shaped links, then the tax. Prints
// tables and leaves out/bench/results.json and out/bench/bench.svg. docs/bench.md says what is measured; --help, what can be chosen.
import { writeFile } from 'node:fs/promises';
import { LONE_WORKLOADS, requireGuest } from './guest.js';
import { describeMachine } from './machine-facts.js';
import { moveOnce } from './move.js';
import { moved, parseOptions, usage, UsageError, type Options } from './options.js';
import type { Outcome } from './outcome.js';
import { plot } from './plot.js';
import { continued, outcomesOf, rowOf, save, withRow, withTax, type Case, type Results } from './results.js';
import { rowsTable, seenTable, taxTable } from './table.js';
import { measureTax } from './tax.js';

const [resultsFile, plotFile] = ['out/bench/results.json', 'out/bench/bench.svg'];
const memory = '256M';

/** Ends here when there is nothing to measure. */
function told(): Options {
  try {
    const options = parseOptions(process.argv.slice(2));
    if (options !== null) return options;
    console.log(usage);
    process.exit(0);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`${error.message}\n\n${usage}`);
    process.exit(2);
  }
}

const { quick, parts, workloads, links, contenders, runs, minutes, continues } = told();
const untilMs = performance.now() + minutes * 60_000;
const late = (): boolean => performance.now() > untilMs;

await requireGuest();
const machine = await describeMachine();
let results: Results = continues ? await continued(resultsFile, machine) : { machine, quick, rows: [], tax: [] };
const { cpu, cores, kernel, qemu } = machine;
console.log(`${cpu}, ${cores} cores, Linux ${kernel}, QEMU ${qemu}; guests of ${memory}, runs ${runs}`);

function describe({ converged, downtimeMs, stallMs, totalMs, bytes, bytesAfterBase }: Outcome): string {
  const down = converged ? `down ${downtimeMs?.toFixed(1)} ms` : `did not converge, stalled ${stallMs?.toFixed(0)} ms`;
  const megabytes = `${(bytes / 1e6).toFixed(1)} MB, ${(bytesAfterBase / 1e6).toFixed(2)} after the base`;
  return `${down}, ${(totalMs / 1000).toFixed(2)} s, ${megabytes}`;
}

async function moveAndSave(of: Case, run: number): Promise<void> {
  const name = `  ${of.workload} ${of.link} ${of.tool} ${of.mode} ${run + 1}/${runs}`;
  try {
    const outcome = await moveOnce(of, memory);
    const row = rowOf(of, memory, [...outcomesOf(results.rows, of), outcome]);
    results = { ...results, rows: withRow(results.rows, row) };
    await save(resultsFile, results);
    console.log(`${name}: ${describe(outcome)}`);
  } catch (error) {
    // It is no row's; the others go on.
    console.error(`${name}: ${(error as Error).message}`);
    process.exitCode = 1;
  }
}

// Each contender in turn, so that a slow hour of the machine hits all of them.
for (const link of parts.includes('rows') ? links : []) {
  for (const workload of moved(workloads)) {
    for (let run = 0; run < runs; run++) {
      for (const contender of contenders) {
        const of = { ...contender, workload, link };
        if (outcomesOf(results.rows, of).length <= run && !late()) await moveAndSave(of, run);
      }
    }
  }
}
for (const workload of parts.includes('tax')
  ? LONE_WORKLOADS.filter((candidate) => workloads.includes(candidate))
  : []) {
  if (late() || results.tax.some((row) => row.workload === workload)) continue;
  console.log(`  ${workload}: the tax`);
  // A unit of compile takes a fifth of a second and more: its windows must hold many.
  const windowMs = workload === 'compile' ? 10_000 : 2_000;
  const size = quick
    ? { sets: 1, rounds: 2, windowMs: windowMs / 2, flips: 20 }
    : { sets: 3, rounds: workload === 'compile' ? 2 : 4, windowMs, flips: 200 };
  results = { ...results, tax: withTax(results.tax, await measureTax({ workload, memory, ...size })) };
  await save(resultsFile, results);
}

if (results.rows.length > 0) console.log(`\n${rowsTable(results.rows)}`);
if (results.rows.some(({ workload }) => workload === 'echo')) console.log(`\n${seenTable(results.rows)}`);
if (results.tax.length > 0) console.log(`\n${taxTable(results.tax)}`);
const picture = plot(results.rows);
if (picture !== null) await writeFile(plotFile, picture);
console.log(`\n${resultsFile}${late() ? ' is not complete yet: go on with --continue' : ''}`);
