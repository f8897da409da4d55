// The migrations of a benchmark: which ones, in which order, and their figures as rows.
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { figure, type Figure } from './figure.js';
import type { Workload } from './guest.js';
import { makeHosts, type LinkName } from './hosts.js';
import type { Outcome } from './outcome.js';
import { moveByQemu, type QemuMode } from './qemu.js';
import { moveByTrmig } from './trmig.js';

/** One tool on one workload. Figures are over the runs; downtime and total time over those that converged. */
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
  readonly totalMs: Figure | null;
  readonly bytes: Figure | null;
  readonly bytesAfterBase: Figure | null;
  readonly slowdown: Figure | null;
}

export type Contender =
  { readonly tool: 'trmig'; readonly mode: 'trace' } | { readonly tool: 'qemu'; readonly mode: QemuMode };

export interface RowsOptions {
  readonly workload: Workload;
  readonly memory: string;
  readonly link: LinkName;
  readonly runs: number;
  readonly contenders: readonly Contender[];
  readonly onRun: (contender: Contender, run: number, outcome: Outcome) => void;
  /** A move that broke is no row's; the others go on. */
  readonly onBroken: (contender: Contender, run: number, error: Error) => void;
}

/** Moves the same guest by each contender in turn, `runs` times. */
export async function measureRows(options: RowsOptions): Promise<Row[]> {
  const outcomes = new Map<Contender, Outcome[]>(options.contenders.map((contender) => [contender, []]));
  for (let run = 0; run < options.runs; run++) {
    for (const contender of options.contenders) {
      try {
        const outcome = await moveOnce(contender, options);
        outcomes.get(contender)!.push(outcome);
        options.onRun(contender, run, outcome);
      } catch (error) {
        options.onBroken(contender, run, error instanceof Error ? error : new Error(String(error)));
      }
    }
  }
  return [...outcomes]
    .filter(([, list]) => list.length > 0)
    .map(([contender, list]) => rowOf(contender, options, list));
}

async function moveOnce(contender: Contender, options: RowsOptions): Promise<Outcome> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'trmig-bench-'));
  const hosts = await makeHosts(options.link);
  const { workload, memory } = options;
  try {
    const outcome =
      contender.tool === 'qemu'
        ? await moveByQemu({ hosts, workload, memory, folder, mode: contender.mode })
        : await moveByTrmig({ hosts, workload, memory, folder });
    await rm(folder, { recursive: true, force: true });
    return outcome;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`${why} (its files are in ${folder})`, { cause });
  } finally {
    await hosts.close();
  }
}

function rowOf({ tool, mode }: Contender, options: RowsOptions, outcomes: readonly Outcome[]): Row {
  const arrived = outcomes.filter(({ converged }) => converged);
  const numbers = (of: readonly Outcome[], value: (outcome: Outcome) => number | null): Figure | null =>
    figure(of.flatMap((outcome) => value(outcome) ?? []));
  return {
    workload: options.workload,
    guest: `Linux, x86_64, ${options.memory}`,
    link: options.link,
    tool,
    mode,
    runs: outcomes.length,
    converged: arrived.length,
    downtimeMs: numbers(arrived, ({ downtimeMs }) => downtimeMs),
    totalMs: numbers(arrived, ({ totalMs }) => totalMs),
    bytes: numbers(outcomes, ({ bytes }) => bytes),
    bytesAfterBase: numbers(outcomes, ({ bytesAfterBase }) => bytesAfterBase),
    slowdown: numbers(outcomes, ({ slowdown }) => slowdown),
  };
}
