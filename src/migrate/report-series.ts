// The samples over time: one small plot a quantity, all with one time axis and the migration's phases behind them. A point or a
// tap shows the values of all plots at that moment.
//
// The curves are SVG stretched to whatever width there is; the words are HTML laid over them, so that they keep their size on a
// telephone. No script: what appears under the pointer is a strip of the page that shows its label while it is pointed at.
import { bisectCenter, max } from 'd3-array';
import { scaleLinear, scaleSymlog } from 'd3-scale';
import { area, curveStepAfter, curveLinear, line } from 'd3-shape';
import { html, type Markup } from './report-markup.js';
import { duration, factor, rate, round, share } from './report-quantities.js';
import type { MigrationReport, ReportSample } from './report.js';

interface Series {
  readonly name: string;
  readonly what: string;
  /** Null where it is not known: the curve has a gap there. */
  readonly of: (sample: ReportSample) => number | null;
  readonly format: (value: number) => string;
  /** What the number beside the name is. */
  readonly digest: 'highest' | 'last';
  /** Log: for what falls from seconds to a fraction of a millisecond, and matters at both ends. */
  readonly scale: 'linear' | 'log';
  readonly shape: 'line' | 'steps';
  /** The plot's top is never below this, so that noise around nothing looks like nothing. */
  readonly topMin: number;
  /** Bytes grow by powers of two: the ticks should too. */
  readonly binary?: boolean;
}

const series: readonly Series[] = [
  {
    name: 'Lag',
    what: 'what the destination had still to replay; logarithmic',
    // Before anything has been replayed, nobody knows how long the lag will take.
    of: ({ lagMs, lagInstructions }) => (lagMs > 0 || lagInstructions <= 0 ? lagMs : null),
    format: duration,
    digest: 'last',
    scale: 'log',
    shape: 'line',
    topMin: 1,
  },
  {
    name: 'Predicted downtime',
    what: 'if the handover had begun at that moment; logarithmic',
    of: ({ predictedDowntimeMs }) => predictedDowntimeMs || null,
    format: duration,
    digest: 'last',
    scale: 'log',
    shape: 'line',
    topMin: 1,
  },
  {
    name: 'Log',
    what: 'on the wire, a second',
    of: ({ logBytesPerSecond }) => logBytesPerSecond,
    format: rate,
    digest: 'highest',
    scale: 'linear',
    shape: 'line',
    topMin: 1024,
    binary: true,
  },
  {
    name: 'Link',
    what: 'all bytes sent, a second',
    of: ({ linkBytesPerSecond }) => linkBytesPerSecond,
    format: rate,
    digest: 'highest',
    scale: 'linear',
    shape: 'line',
    topMin: 1024,
    binary: true,
  },
  {
    name: 'Replay speed',
    what: 'the destination, against the unpaced source',
    of: ({ replaySpeed }) => replaySpeed || null,
    format: factor,
    digest: 'last',
    scale: 'linear',
    shape: 'line',
    topMin: 1,
  },
  {
    name: 'Guest speed',
    what: 'in the last 100 ms, against that before the checkpoint',
    of: ({ guestSpeed }) => guestSpeed || null,
    format: share,
    digest: 'last',
    scale: 'linear',
    shape: 'line',
    topMin: 1,
  },
  {
    name: 'Pacing',
    what: "the share of time that the source's vCPU slept",
    of: ({ pace }) => pace,
    format: share,
    digest: 'highest',
    scale: 'linear',
    shape: 'steps',
    topMin: 0.2,
  },
];

/** The phases as a reader needs them; the protocol has more. */
const stageOf: Readonly<Record<string, string>> = {
  connecting: 'start',
  offering: 'start',
  arming: 'start',
  shipping: 'base image',
  'catching-up': 'catching up',
  draining: 'handover',
  'awaiting-ready': 'handover',
  fencing: 'handover',
  relinquishing: 'handover',
  relinquished: 'handover',
};

interface Stage {
  readonly name: string;
  readonly fromMs: number;
  readonly toMs: number;
}

function stages(report: MigrationReport, endMs: number): Stage[] {
  const list: Stage[] = [];
  for (const [index, { phase, atMs }] of report.phases.entries()) {
    const name = stageOf[phase];
    const fromMs = Math.min(Math.max(0, atMs), endMs);
    const toMs = Math.min(report.phases[index + 1]?.atMs ?? endMs, endMs);
    const last = list.at(-1);
    if (last !== undefined && last.name === name) list[list.length - 1] = { ...last, toMs };
    else if (name !== undefined && toMs > fromMs) list.push({ name, fromMs, toMs });
  }
  return list;
}

const width = 1000;
const height = 100;
/** Strips that answer to the pointer. */
const stripsMax = 120;

type Scale = (ms: number) => number;

const at = (percent: number): string => `${Math.min(100, Math.max(0, percent)).toFixed(3)}%`;
const valueOf = (of: Series, sample: ReportSample): number | null => {
  const value = of.of(sample);
  return value !== null && Number.isFinite(value) ? Math.max(0, value) : null;
};
const written = (of: Series, value: number | null | undefined): string =>
  value === null || value === undefined ? '–' : of.format(value);

/** The values of the horizontal rules: two or three round ones, never 0, which the axis is. */
function ticksOf(of: Series, top: number): number[] {
  if (of.scale === 'log') {
    const powers = [0.1, 1, 10, 100, 1e3, 1e4, 1e5, 1e6].filter((power) => power <= top);
    return powers.length > 3 ? powers.filter((_, index) => (powers.length - 1 - index) % 2 === 0) : powers;
  }
  const unit = of.binary ? 1024 ** Math.floor(Math.log(Math.max(1, top)) / Math.log(1024)) : 1;
  const ticks = scaleLinear()
    .domain([0, top / unit])
    .ticks(3);
  return ticks.filter((value) => value > 0).map((value) => value * unit);
}

function plot(of: Series, samples: readonly ReportSample[], x: Scale, bands: Markup[]): Markup {
  const values = samples.flatMap((sample) => valueOf(of, sample) ?? []);
  const top = Math.max(of.topMin, max(values) ?? 0) * 1.08;
  const y = of.scale === 'log' ? scaleSymlog().constant(0.1).domain([0, top]) : scaleLinear().domain([0, top]);
  y.range([height, 0]);
  const curve = of.shape === 'steps' ? curveStepAfter : curveLinear;
  const xOf = ({ atMs }: ReportSample): number => x(atMs) * (width / 100);
  const yOf = (sample: ReportSample): number => y(valueOf(of, sample) ?? 0);
  const known = (sample: ReportSample): boolean => valueOf(of, sample) !== null;
  const stroke = line<ReportSample>(xOf, yOf).defined(known).curve(curve).digits(1)([...samples]) ?? '';
  const fill = area<ReportSample>(xOf, height, yOf).defined(known).curve(curve).digits(1)([...samples]) ?? '';
  const ticks = ticksOf(of, top);
  const shown = written(of, of.digest === 'last' ? values.at(-1) : max(values));
  return html`<figure class="plot">
    <figcaption>
      <b>${of.name}</b> <span class="what">${of.what}</span><span class="shown">${of.digest} <b>${shown}</b></span>
    </figcaption>
    <div class="canvas">
      ${bands} ${ticks.map((value) => html`<i class="rule" style="top:${at(y(value))}"></i>`)}
      <svg
        viewBox="0 0 ${width} ${height}"
        preserveAspectRatio="none"
        role="img"
        aria-label="${of.name} over time, ${of.digest} ${shown}"
      >
        <path class="fill" d="${fill}" />
        <path class="stroke" d="${stroke}" />
      </svg>
      ${ticks.map((value) => html`<span class="tick" style="top:${at(y(value))}">${round(of.format(value))}</span>`)}
    </div>
  </figure>`;
}

function strips(samples: readonly ReportSample[], shown: readonly Series[], endMs: number, x: Scale): Markup[] {
  const count = Math.min(stripsMax, samples.length);
  const times = samples.map(({ atMs }) => atMs);
  return Array.from({ length: count }, (_, index) => {
    const [fromMs, toMs] = [(endMs * index) / count, (endMs * (index + 1)) / count];
    const sample = samples[bisectCenter(times, (fromMs + toMs) / 2)]!;
    const side = index * 2 < count ? 'right' : 'left';
    return html`<div class="strip" style="left:${at(x(fromMs))};width:${at(x(toMs - fromMs))}">
      <i></i>
      <dl class="${side}">
        <dt>at</dt>
        <dd>${duration(sample.atMs)}</dd>
        ${shown.map(
          (of) =>
            html`<dt>${of.name}</dt>
              <dd>${written(of, valueOf(of, sample))}</dd>`,
        )}
      </dl>
    </div>`;
  });
}

/** The plots' section. Says so when the migration was too short for any. */
export function seriesSection(report: MigrationReport): Markup {
  const samples = report.samples.filter(({ atMs }) => Number.isFinite(atMs));
  if (samples.length < 2) {
    return html`<section>
      <h2>Over time</h2>
      <p class="lead">The migration ended before there was anything to draw.</p>
    </section>`;
  }
  const endMs = Math.max(report.totalMs, samples.at(-1)!.atMs, 1);
  const x = scaleLinear().domain([0, endMs]).range([0, 100]);
  const named = stages(report, endMs);
  const placed = ({ fromMs, toMs }: Stage): string => `left:${at(x(fromMs))};width:${at(x(toMs) - x(fromMs))}`;
  const bands = named.map((stage, index) => html`<i class="band b${index % 2}" style="${placed(stage)}"></i>`);
  const shown = series.filter(
    (of) => of.name !== 'Predicted downtime' || samples.some((sample) => valueOf(of, sample) !== null),
  );
  const ticks = x.ticks(5);
  return html`<section>
    <h2>Over time</h2>
    <p class="lead">Point at a moment, or tap it, to read all values.</p>
    <div class="plots">
      <div class="stages">
        ${named.map((stage) => html`<span style="${placed(stage)}" title="${stage.name} ${duration(stage.toMs - stage.fromMs)}">${stage.name}</span>`)}
      </div>
      ${shown.map((of) => plot(of, samples, x, bands))}
      <div class="time">
        ${ticks.map((ms) => html`<span class="${x(ms) > 93 ? 'end' : 'middle'}" style="left:${at(x(ms))}">${ms === 0 ? '0' : round(duration(ms))}</span>`)}
      </div>
      <div class="strips">${strips(samples, shown, endMs, x)}</div>
    </div>
  </section>`;
}
