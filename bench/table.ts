// The results as Markdown tables: readable in a terminal, and to be put into the README as they are. Medians, with the range in
// brackets where it matters.
import type { Figure } from './figure.js';
import type { Workload } from './guest.js';
import type { Row } from './results.js';
import type { TaxRow } from './tax.js';

/** Cells padded to their column; the first column to the left, the others to the right. */
export function markdown(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const pad = (text: string, column: number): string =>
    column === 0 ? text.padEnd(widths[column]!) : text.padStart(widths[column]!);
  const line = (cells: readonly string[]): string => `| ${cells.map(pad).join(' | ')} |`;
  const rule = widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [line(header), line(rule), ...rows.map(line)].join('\n');
}

const workloadNames: Readonly<Record<Workload, string>> = {
  idle: 'idle',
  hotset: '64 MB hot set',
  compile: 'compile-like',
  alu: 'ALU loop',
  diskwriter: 'disk writer',
  echo: 'network echo',
};
export const workloadName = (workload: Workload): string => workloadNames[workload];

export const contenderName = ({ tool, mode }: Pick<Row, 'tool' | 'mode'>): string =>
  tool === 'trmig' ? 'trmig' : `qemu ${mode}`;

/** The migrations, tools side by side. */
export function rowsTable(rows: readonly Row[]): string {
  return markdown(
    [
      'workload',
      'link',
      'tool',
      'converged',
      'downtime ms',
      'tool says',
      'longest stall',
      'total s',
      'MB sent',
      'MB after base',
      'slowdown',
    ],
    rows.map((row) => [
      workloadName(row.workload),
      row.link,
      contenderName(row),
      `${row.converged}/${row.runs}`,
      ranged(row.downtimeMs, milli),
      middle(row.toolDowntimeMs, milli),
      middle(row.stallMs, (ms) => ms.toFixed(0)),
      middle(row.totalMs, (ms) => (ms / 1000).toFixed(2)),
      middle(row.bytes, (bytes) => (bytes / 1e6).toFixed(1)),
      middle(row.bytesAfterBase, (bytes) => (bytes / 1e6).toFixed(bytes < 1e6 ? 3 : 1)),
      middle(row.slowdown, percent),
    ]),
  );
}

/** The same handovers of `echo` as three onlookers saw them. */
export function seenTable(rows: readonly Row[]): string {
  return markdown(
    ['echo', 'link', "guest's beats ms", 'UDP client ms', 'TCP client ms'],
    rows
      .filter(({ workload }) => workload === 'echo')
      .map((row) => [
        contenderName(row),
        row.link,
        ranged(row.beatDowntimeMs, milli),
        ranged(row.udpSilenceMs, milli),
        ranged(row.downtimeMs, milli),
      ]),
  );
}

/** What being recordable and being recorded costs. */
export function taxTable(rows: readonly TaxRow[]): string {
  return markdown(
    [
      'workload',
      'dormant',
      'armed',
      'armed to icount',
      'arm ms',
      'disarm ms',
      'checkpoint ms',
      'log KB/s',
      'wire KB/s',
    ],
    rows.map(({ workload, tax, pauses, log }) => [
      workloadName(workload),
      middle(tax.dormantToPlain, percent),
      middle(tax.armedToPlain, percent),
      middle(tax.armedToIcount, percent),
      upTo(pauses.armMs),
      upTo(pauses.disarmMs),
      upTo(pauses.checkpointMs),
      middle(log.rawBytesPerSecond, kilo),
      middle(log.wireBytesPerSecond, kilo),
    ]),
  );
}

const milli = (ms: number): string => ms.toFixed(1);
const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
const kilo = (bytes: number): string => (bytes / 1000).toFixed(1);
const middle = (of: Figure | null, format: (value: number) => string): string =>
  of === null ? '-' : format(of.median);
const ranged = (of: Figure | null, format: (value: number) => string): string =>
  of === null ? '-' : `${format(of.median)} (${format(of.min)}-${format(of.max)})`;
const upTo = (of: Figure | null): string => (of === null ? '-' : `${of.median.toFixed(2)} (≤ ${of.max.toFixed(2)})`);
