// Runs cells on two hosts of their own, says each outcome as it comes, and prints the table of all.
import type { Test } from 'tap';
import { unmountThoseOf } from '../system/folder-processes.js';
import { stage } from '../system/stage.js';
import { runCell, type Outcome } from './cell.js';
import { expectedOf } from './expected.js';
import { Hosts, mountSmall } from './hosts.js';
import type { Cell } from './plan.js';

/** Some waits for leases and connections, twice what a cell itself waits for. */
const cellTimeoutMs = 600_000;

/** Tries these cells one after the other, a subtest each; the guest goes on from cell to cell for as long as it lives. */
export async function tryCells(t: Test, cells: readonly Cell[]): Promise<void> {
  const { folder, a, b } = stage(t);
  const isSmall = [a, b].every((home) => mountSmall(home.root));
  const hosts = new Hosts(folder, a, b);
  const rows: string[] = [];
  try {
    for (const cell of cells) {
      if (cell.fault === 'disk-full' && !isSmall) {
        t.pass(cell.name, { skip: 'mounting a small file system needs root' });
      } else await t.test(cell.name, { timeout: cellTimeoutMs }, (t) => tryCell(t, hosts, cell, rows));
    }
  } finally {
    hosts.end({ keep: !t.passing() });
    unmountThoseOf(folder);
  }
  t.comment(['fault x state, and what became of the guest:', ...rows].join('\n'));
}

async function tryCell(t: Test, hosts: Hosts, cell: Cell, rows: string[]): Promise<void> {
  const reproduce = `reproduce: node build/test/faults/main.js --cell ${cell.name}`;
  const outcome = await runCell(hosts, cell).catch((error: unknown) => error as Error);
  if (outcome instanceof Error) {
    rows.push(row(cell, null));
    t.fail(`${outcome.message}\n${reproduce}`);
    return;
  }
  rows.push(row(cell, outcome));
  t.comment(row(cell, outcome));
  t.same(outcome.problems, [], reproduce);
  const expected = expectedOf(cell);
  t.ok(expected.includes(outcome.verdict), `it ${outcome.verdict}, of ${expected.join(' | ')}; ${reproduce}`);
}

function row({ name }: Cell, outcome: Outcome | null): string {
  if (outcome === null) return `${name.padEnd(38)} (not tried to its end)`;
  const { verdict, records, seconds } = outcome;
  return `${name.padEnd(38)} ${verdict.padEnd(19)} ${records.padEnd(26)} ${seconds.toFixed(1).padStart(6)} s`;
}
