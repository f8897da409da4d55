// out/bench/results.json: what was measured so far. It is written anew after each move, so that nothing that was measured is
// lost, and a benchmark that was interrupted can be continued where it stopped, on the same machine.
//
// Invariant: a row's figures follow from its `outcomes`.
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { figure, type Figure } from './figure.js';
import { MOVED_WORKLOADS, type Workload } from './guest.js';
import { LINKS, type LinkName } from './hosts.js';
import type { MachineFacts } from './machine-facts.js';
import { outcomeSchema, type Outcome } from './outcome.js';
import { QEMU_MODES, type QemuMode } from './qemu-modes.js';
import type { TaxRow } from './tax.js';

export type Contender =
  { readonly tool: 'trmig'; readonly mode: 'trace' } | { readonly tool: 'qemu'; readonly mode: QemuMode };

/** What is measured: one tool on one workload over one link. */
export type Case = Contender & { readonly workload: Workload; readonly link: LinkName };

/** The moves of a case. Figures are over the runs; downtimes and total time over those that converged. */
export interface Row {
  readonly workload: Workload;
  readonly guest: string;
  readonly link: LinkName;
  readonly tool: 'trmig' | 'qemu';
  readonly mode: string;
  readonly runs: number;
  /** How many of the runs arrived within the time given. */
  readonly converged: number;
  readonly downtimeMs: Figure | null;
  readonly toolDowntimeMs: Figure | null;
  readonly beatDowntimeMs: Figure | null;
  readonly udpSilenceMs: Figure | null;
  readonly stallMs: Figure | null;
  readonly totalMs: Figure | null;
  readonly bytes: Figure | null;
  readonly bytesAfterBase: Figure | null;
  readonly slowdown: Figure | null;
  /** The runs themselves, in the order in which they were made. */
  readonly outcomes: readonly Outcome[];
}

export interface Results {
  readonly machine: MachineFacts;
  readonly quick: boolean;
  readonly rows: readonly Row[];
  readonly tax: readonly TaxRow[];
}

/** The row of a case. */
export function rowOf(of: Case, memory: string, outcomes: readonly Outcome[]): Row {
  const arrived = outcomes.filter(({ converged }) => converged);
  const over = (list: readonly Outcome[], key: Exclude<keyof Outcome, 'converged'>): Figure | null =>
    figure(list.flatMap((outcome) => outcome[key] ?? []));
  return {
    workload: of.workload,
    guest: `Linux, x86_64, ${memory}`,
    link: of.link,
    tool: of.tool,
    mode: of.mode,
    runs: outcomes.length,
    converged: arrived.length,
    downtimeMs: over(arrived, 'downtimeMs'),
    toolDowntimeMs: over(arrived, 'toolDowntimeMs'),
    beatDowntimeMs: over(arrived, 'beatDowntimeMs'),
    udpSilenceMs: over(arrived, 'udpSilenceMs'),
    stallMs: over(outcomes, 'stallMs'),
    totalMs: over(arrived, 'totalMs'),
    bytes: over(outcomes, 'bytes'),
    bytesAfterBase: over(outcomes, 'bytesAfterBase'),
    slowdown: over(outcomes, 'slowdown'),
    outcomes,
  };
}

type Key = Pick<Row, 'workload' | 'link' | 'tool' | 'mode'>;

const same = (a: Key, b: Key): boolean =>
  a.workload === b.workload && a.link === b.link && a.tool === b.tool && a.mode === b.mode;

/** The moves made of a case so far. */
export function outcomesOf(rows: readonly Row[], of: Case): readonly Outcome[] {
  return rows.find((row) => same(row, of))?.outcomes ?? [];
}

/** trmig first, then QEMU's modes. */
const modesInOrder: readonly string[] = ['trace', ...Object.keys(QEMU_MODES)];

/** The rows with one of them put in or replaced, in the order of links, workloads and contenders. */
export function withRow(rows: readonly Row[], row: Row): Row[] {
  const place = ({ link, workload, mode }: Row): number =>
    Object.keys(LINKS).indexOf(link) * 10_000 +
    (MOVED_WORKLOADS as readonly string[]).indexOf(workload) * 100 +
    modesInOrder.indexOf(mode);
  return [...rows.filter((other) => !same(other, row)), row].sort((a, b) => place(a) - place(b));
}

export function withTax(tax: readonly TaxRow[], row: TaxRow): TaxRow[] {
  return [...tax.filter(({ workload }) => workload !== row.workload), row];
}

/** Of a row only what the next sitting needs is looked at; it is this benchmark that has written the file. */
const resultsSchema = z.looseObject({
  machine: z.looseObject({ cpu: z.string(), cores: z.number(), qemu: z.string(), kernel: z.string() }),
  rows: z.array(z.looseObject({ outcomes: z.array(outcomeSchema) })),
  tax: z.array(z.looseObject({ workload: z.string() })),
});

/**
 * What an earlier sitting left.
 * @throws when there is nothing of that kind, or it was measured on another machine: its figures do not belong beside these
 */
export async function continued(file: string, machine: MachineFacts): Promise<Results> {
  const found = resultsSchema.parse(JSON.parse(await readFile(file, 'utf8'))) as unknown as Results;
  for (const fact of ['cpu', 'cores', 'qemu', 'kernel'] as const) {
    if (found.machine[fact] !== machine[fact]) {
      throw new Error(`${file} was measured on another machine (${fact} ${found.machine[fact]}, not ${machine[fact]})`);
    }
  }
  return found;
}

export async function save(file: string, results: Results): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(`${file}.partial`, `${JSON.stringify(results, null, 2)}\n`);
  await rename(`${file}.partial`, file);
}
