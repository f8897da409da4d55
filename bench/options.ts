// What the benchmark is told on its command line.
import { parseArgs } from 'node:util';
import { MOVED_WORKLOADS, WORKLOADS, type Workload } from './guest.js';
import { LINKS, type LinkName } from './hosts.js';
import { QEMU_MODES, QEMU_MODES_USUAL, type QemuMode } from './qemu-modes.js';
import type { Contender } from './results.js';

export const usage = `node build/bench/main.js [options], or make bench ARGS="options"

  --quick              one run of two workloads by trmig and pre-copy, to see that it works
  --only rows|tax      the moves, or what the tracer costs
  --workloads A,B      of ${WORKLOADS.join(', ')}
  --links A,B          of ${Object.keys(LINKS).join(', ')}
  --tools A,B          of trmig, qemu
  --modes A,B          of QEMU's: ${Object.keys(QEMU_MODES).join(', ')}
  --runs N             of each case (5)
  --minutes N          begin no further move after so long; --continue goes on from there
  --continue           go on from out/bench/results.json: only what it lacks is measured
  --help

docs/bench.md says what is measured.`;

/** A word that the benchmark does not know. */
export class UsageError extends Error {}

export interface Options {
  readonly quick: boolean;
  readonly parts: readonly ('rows' | 'tax')[];
  readonly workloads: readonly Workload[];
  readonly links: readonly LinkName[];
  readonly contenders: readonly Contender[];
  readonly runs: number;
  readonly minutes: number;
  readonly continues: boolean;
}

/** Null: it was asked for help. @throws UsageError */
export function parseOptions(args: readonly string[]): Options | null {
  const values = parsed(args);
  if (values.help) return null;
  const { quick, only } = values;
  const modes = choice('modes', values.modes ?? (quick ? 'precopy' : QEMU_MODES_USUAL.join(',')), names(QEMU_MODES));
  return {
    quick,
    parts: only === undefined ? ['rows', 'tax'] : choice('only', only, ['rows', 'tax']),
    workloads: choice('workloads', values.workloads ?? (quick ? 'idle,hotset' : WORKLOADS.join(',')), WORKLOADS),
    links: choice('links', values.links ?? (quick ? '1gbit' : names(LINKS).join(',')), names(LINKS)),
    contenders: choice('tools', values.tools, ['trmig', 'qemu']).flatMap((tool): Contender[] =>
      tool === 'trmig' ? [{ tool, mode: 'trace' }] : modes.map((mode: QemuMode) => ({ tool, mode })),
    ),
    runs: positive('runs', values.runs ?? (quick ? '1' : '5')),
    minutes: values.minutes === undefined ? Infinity : positive('minutes', values.minutes),
    continues: values.continue,
  };
}

/** The workloads of the moves among those chosen. */
export function moved(workloads: readonly Workload[]): readonly Workload[] {
  return MOVED_WORKLOADS.filter((workload) => workloads.includes(workload));
}

const flag = { type: 'boolean', default: false } as const;
const text = { type: 'string' } as const;
const options = {
  quick: flag,
  only: text,
  workloads: text,
  links: text,
  tools: { ...text, default: 'trmig,qemu' },
  modes: text,
  runs: text,
  minutes: text,
  continue: flag,
  help: flag,
} as const;

function parsed(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (cause) {
    throw new UsageError((cause as Error).message, { cause });
  }
}

const names = <K extends string>(table: Readonly<Record<K, unknown>>): K[] => Object.keys(table) as K[];

function choice<T extends string>(option: string, words: string, allowed: readonly T[]): T[] {
  return words.split(',').map((word) => {
    const found = allowed.find((candidate) => candidate === word);
    if (found === undefined) throw new UsageError(`--${option}: '${word}' is none of ${allowed.join(', ')}`);
    return found;
  });
}

function positive(option: string, word: string): number {
  const value = Number(word);
  if (!Number.isInteger(value) || value < 1) throw new UsageError(`--${option}: use a whole number from 1 on`);
  return value;
}
