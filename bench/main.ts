// The benchmark: trmig and QEMU's own migration in turn, on the same guests over the same shaped links, then the tax. Prints
// tables and leaves out/bench/results.json and out/bench/bench.svg. docs/bench.md says what is measured.
//
//   node build/bench/main.js [--quick] [--workloads idle,hotset] [--links 1gbit] [--runs 5] [--only rows|tax]
//                            [--tools trmig,qemu] [--modes precopy] [--continue] [--minutes 5]
//
//   --continue   go on from results.json: only what it lacks is measured
//   --minutes    begin no further move after so long; --continue goes on from there
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { LONE_WORKLOADS, MOVED_WORKLOADS, requireGuest, WORKLOADS } from './guest.js';
import { LINKS, type LinkName } from './hosts.js';
import { describeMachine } from './machine-facts.js';
import { moveOnce } from './move.js';
import type { Outcome } from './outcome.js';
import { plot } from './plot.js';
import { QEMU_MODES, QEMU_MODES_USUAL, type QemuMode } from './qemu-modes.js';
import {
  continued,
  outcomesOf,
  rowOf,
  save,
  withRow,
  withTax,
  type Case,
  type Contender,
  type Results,
} from './results.js';
import { rowsTable, seenTable, taxTable } from './table.js';
import { measureTax } from './tax.js';

const [resultsFile, plotFile] = ['out/bench/results.json', 'out/bench/bench.svg'];
const memory = '256M';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    workloads: { type: 'string' },
    links: { type: 'string' },
    runs: { type: 'string' },
    only: { type: 'string' },
    modes: { type: 'string' },
    tools: { type: 'string', default: 'trmig,qemu' },
    continue: { type: 'boolean', default: false },
    minutes: { type: 'string', default: 'Infinity' },
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
const chosen = choice('workloads', values.workloads ?? (quick ? 'idle,hotset' : WORKLOADS.join(',')), WORKLOADS);
const allLinks = Object.keys(LINKS) as LinkName[];
const links = choice('links', values.links ?? (quick ? '1gbit' : allLinks.join(',')), allLinks);
const parts = only === undefined ? ['rows', 'tax'] : choice('only', only, ['rows', 'tax']);
const allModes = Object.keys(QEMU_MODES) as QemuMode[];
const modes = choice('modes', values.modes ?? (quick ? 'precopy' : QEMU_MODES_USUAL.join(',')), allModes);
const contenders = choice('tools', values.tools, ['trmig', 'qemu']).flatMap((tool): Contender[] =>
  tool === 'trmig' ? [{ tool, mode: 'trace' }] : modes.map((mode) => ({ tool, mode })),
);
const untilMs = performance.now() + Number(values.minutes) * 60_000;
const late = (): boolean => performance.now() > untilMs;

await requireGuest();
const machine = await describeMachine();
let results: Results = values.continue ? await continued(resultsFile, machine) : { machine, quick, rows: [], tax: [] };
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
  for (const workload of MOVED_WORKLOADS.filter((candidate) => chosen.includes(candidate))) {
    for (let run = 0; run < runs; run++) {
      for (const contender of contenders) {
        const of = { ...contender, workload, link };
        if (outcomesOf(results.rows, of).length <= run && !late()) await moveAndSave(of, run);
      }
    }
  }
}
for (const workload of parts.includes('tax') ? LONE_WORKLOADS.filter((candidate) => chosen.includes(candidate)) : []) {
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
