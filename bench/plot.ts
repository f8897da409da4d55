// The migrations as one picture: for each link a row of panels (downtime, bytes, time), in them a lane for each tool on each
// workload: the median as a mark, its range as a line, all on log scales. What did not arrive stands in a column of its own.
//
// It is SVG without script or style sheet, so that it looks the same wherever it is shown, and on its own white ground.
import { extent } from 'd3-array';
import { scaleLog, type ScaleLogarithmic } from 'd3-scale';
import {
  symbol,
  symbolCircle,
  symbolDiamond,
  symbolSquare,
  symbolStar,
  symbolTriangle,
  symbolWye,
  type SymbolType,
} from 'd3-shape';
import { html, type Markup } from '../src/migrate/report-markup.js';
import type { Figure } from './figure.js';
import type { LinkName } from './hosts.js';
import type { Row } from './results.js';
import { contenderName, workloadName } from './table.js';

interface Panel {
  readonly title: string;
  readonly of: (row: Row) => Figure | null;
  readonly format: (value: number) => string;
  /** The axis never shows less than from one of these to the other. */
  readonly atLeast: readonly [number, number];
}

const plain = (value: number): string => (value >= 1000 ? `${value / 1000}k` : String(value));
const scaled = (of: Figure | null, by: number): Figure | null =>
  of && { min: of.min / by, median: of.median / by, max: of.max / by };

const panels: readonly Panel[] = [
  { title: 'downtime seen from outside, ms', of: ({ downtimeMs }) => downtimeMs, format: plain, atLeast: [5, 200] },
  { title: 'MB sent', of: ({ bytes }) => scaled(bytes, 1e6), format: plain, atLeast: [30, 200] },
  { title: 'total time, s', of: ({ totalMs }) => scaled(totalMs, 1000), format: plain, atLeast: [1, 10] },
];

const marks: Readonly<Record<string, readonly [string, SymbolType]>> = {
  trace: ['#c4122f', symbolCircle],
  precopy: ['#1d5fa3', symbolSquare],
  'auto-converge': ['#3a8f5f', symbolTriangle],
  'multifd-zstd': ['#7a55a8', symbolDiamond],
  postcopy: ['#d07a13', symbolStar],
  xbzrle: ['#5a6570', symbolWye],
};
const markOf = ({ mode }: Pick<Row, 'mode'>): readonly [string, SymbolType] => marks[mode] ?? ['#000000', symbolCircle];

const size = {
  lane: 13,
  gap: 12,
  label: 96,
  panel: 262,
  between: 20,
  head: 56,
  title: 46,
  axis: 26,
  never: 46,
  side: 16,
};

const panelWidth = size.panel - size.never;
type Axis = ScaleLogarithmic<number, number>;

/** A log axis around all values: the same for all links, so that they can be compared. */
function axisOf(panel: Panel, rows: readonly Row[]): Axis {
  const values = rows.flatMap((row) => {
    const of = panel.of(row);
    return of === null ? [] : [of.min, of.max].filter((value) => value > 0);
  });
  const [low = 1, high = 1] = extent([...values, ...panel.atLeast]);
  return scaleLog()
    .domain([low / 1.15, high * 1.15])
    .range([0, panelWidth]);
}

/** 1, 2 and 5 of each power of ten, or the powers alone where those would be too many. */
function ticks(scale: Axis): number[] {
  const all = scale.ticks(20).filter((value) => [1, 2, 5].includes(Number(value.toExponential()[0])));
  return all.length <= 7 ? all : all.filter((value) => value.toExponential().startsWith('1e'));
}

interface Lane {
  readonly row: Row;
  readonly y: number;
}

/** The rows of one link from top to bottom, those of a workload together. */
function lanesOf(rows: readonly Row[]): { lanes: Lane[]; groups: { name: string; y: number }[]; height: number } {
  let y = 0;
  const lanes: Lane[] = [];
  const groups: { name: string; y: number }[] = [];
  for (const workload of new Set(rows.map((row) => row.workload))) {
    const own = rows.filter((row) => row.workload === workload);
    groups.push({ name: workloadName(workload), y: y + (own.length * size.lane) / 2 });
    for (const row of own) {
      lanes.push({ row, y: y + size.lane / 2 });
      y += size.lane;
    }
    y += size.gap;
  }
  return { lanes, groups, height: y - size.gap };
}

function mark(row: Pick<Row, 'mode'>, x: number, y: number, hollow = false): Markup {
  const [colour, type] = markOf(row);
  const fill = hollow ? 'none' : colour;
  const shape = symbol(type, hollow ? 30 : 48)() ?? '';
  return html`<path d="${shape}" transform="translate(${x.toFixed(1)} ${y})" fill="${fill}" stroke="${colour}" />`;
}

function panelMarkup(panel: Panel, x: Axis, lanes: readonly Lane[], height: number): Markup {
  const width = panelWidth;
  const at = (value: number): string => Math.max(0, x(Math.max(value, x.domain()[0]!))).toFixed(1);
  const drawn = lanes.map(({ row, y }) => {
    const of = panel.of(row);
    const stuck = row.converged < row.runs && panel.title !== 'MB sent';
    return html`${of && html`<line x1="${at(of.min)}" x2="${at(of.max)}" y1="${y}" y2="${y}" stroke="${markOf(row)[0]}" />`}
    ${of && mark(row, Number(at(of.median)), y)} ${stuck ? mark(row, width + size.never / 2, y, true) : null}`;
  });
  return html`<text x="0" y="-24" font-weight="600">${panel.title}</text>
    ${panel.title === 'MB sent' ? null : html`<text x="${width + size.never / 2}" y="-7" text-anchor="middle" fill="#666" font-size="10">never</text>`}
    <rect x="0" y="-3" width="${width}" height="${height + 6}" fill="#f6f7f8" />
    ${ticks(x).map(
      (value) =>
        html`<line x1="${at(value)}" x2="${at(value)}" y1="-3" y2="${height + 3}" stroke="#dde1e5" />
          <text x="${at(value)}" y="-7" text-anchor="middle" fill="#666" font-size="10">${panel.format(value)}</text>`,
    )}
    ${drawn}`;
}

function linkMarkup(link: LinkName, rows: readonly Row[], axes: readonly Axis[]): { markup: Markup; height: number } {
  const { lanes, groups, height } = lanesOf(rows);
  const markup = html`<text x="0" y="-24" font-size="14" font-weight="700"
      >${link === '1gbit' ? '1 Gb/s' : '100 Mb/s'}</text
    >
    ${groups.map(({ name, y }) => html`<text x="0" y="${y}" dominant-baseline="middle">${name}</text>`)}
    ${panels.map(
      (panel, index) =>
        html`<g transform="translate(${size.label + index * (size.panel + size.between)} 0)">
          ${panelMarkup(panel, axes[index]!, lanes, height)}
        </g>`,
    )}`;
  return { markup, height };
}

/** The picture of all rows; null when there are none. */
export function plot(rows: readonly Row[]): string | null {
  if (rows.length === 0) return null;
  const width = 2 * size.side + size.label + panels.length * (size.panel + size.between) - size.between;
  const contenders = [...new Map(rows.map((row) => [row.mode, row])).values()];
  const axes = panels.map((panel) => axisOf(panel, rows));
  const legend = contenders.map(
    (row, index) =>
      html`<g transform="translate(${size.side + (index * (width - 2 * size.side)) / contenders.length} 22)">
        ${mark(row, 6, 0)}<text x="18" y="0" dominant-baseline="middle">${contenderName(row)}</text>
      </g>`,
  );
  let y = size.head;
  const sections = [...new Set(rows.map(({ link }) => link))].map((link) => {
    const { markup, height } = linkMarkup(
      link,
      rows.filter((row) => row.link === link),
      axes,
    );
    const section = html`<g transform="translate(${size.side} ${y + size.title})">${markup}</g>`;
    y += size.title + height + size.axis;
    return section;
  });
  return html`<svg
    xmlns="http://www.w3.org/2000/svg"
    viewBox="0 0 ${width} ${y}"
    width="${width}"
    height="${y}"
    font-family="system-ui, sans-serif"
    font-size="12"
    fill="#111"
  >
    <title>
      Moves by trmig and by QEMU's own migration: medians and ranges, log scales; hollow marks did not arrive
    </title>
    <rect width="${width}" height="${y}" rx="6" fill="#fff" />
    ${legend} ${sections}
  </svg>`.text;
}
