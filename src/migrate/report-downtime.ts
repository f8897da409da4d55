// The downtime's terms, drawn as one bar beside the bar that had been predicted, at the same scale, with the numbers below.
// The prediction knows fewer terms than the measurement; what it takes together stands with the term that holds most of it.
import { scaleLinear } from 'd3-scale';
import { html, type Markup } from './report-markup.js';
import { duration } from './report-quantities.js';
import type { DowntimeTerms, MigrationReport } from './report.js';

interface Term {
  readonly key: keyof DowntimeTerms;
  readonly name: string;
  readonly what: string;
  /** The prediction's names for it. */
  readonly predictedAs: readonly string[];
}

/** In the order in which they pass. */
const terms: readonly Term[] = [
  { key: 'stopMs', name: 'Stop', what: 'stopping the vCPU', predictedAs: ['stopMs'] },
  { key: 'quiesceMs', name: 'Quiesce', what: 'letting devices finish what is in flight', predictedAs: ['quiesceMs'] },
  {
    key: 'tailMs',
    name: 'Tail',
    what: 'sending and replaying the rest of the log',
    predictedAs: ['tailMs', 'replayMs', 'transferMs', 'tailTransferMs'],
  },
  { key: 'digestMs', name: 'Digest', what: 'comparing where both hosts stand', predictedAs: ['digestMs'] },
  {
    key: 'ownershipMs',
    name: 'Ownership',
    what: 'writing down on both hosts who owns it',
    predictedAs: ['ownershipMs', 'journalMs', 'journalsMs'],
  },
  { key: 'liveMs', name: 'Go live', what: 'starting it on the destination', predictedAs: ['liveMs', 'goLiveMs'] },
  { key: 'linkMs', name: 'Messages', what: 'what is under way between the hosts', predictedAs: ['linkMs', 'rttMs'] },
];

const other = 'Other';

interface Part {
  readonly name: string;
  /** The colour's number. */
  readonly colour: number;
  readonly ms: number;
}

const finite = (value: unknown): number =>
  typeof value === 'number' && Number.isFinite(value) ? Math.max(0, value) : 0;

function measured(downtime: DowntimeTerms): Part[] {
  return terms.map(({ key, name }, index) => ({ name, colour: index + 1, ms: finite(downtime[key]) }));
}

function predictedParts(predicted: Readonly<Record<string, number>>): Part[] {
  const parts = terms.map(({ name, predictedAs }, index) => ({
    name,
    colour: index + 1,
    ms: predictedAs.reduce((sum, key) => sum + finite(predicted[key]), 0),
  }));
  const known = new Set(terms.flatMap(({ predictedAs }) => predictedAs));
  const rest = Object.entries(predicted).filter(([key]) => key.endsWith('Ms') && !known.has(key));
  const ms = rest.reduce((sum, [, value]) => sum + finite(value), 0);
  return ms > 0 ? [...parts, { name: other, colour: terms.length + 1, ms }] : parts;
}

function bar(label: string, totalMs: number, parts: readonly Part[], scale: (ms: number) => number): Markup {
  let fromMs = 0;
  const pieces = parts
    .filter(({ ms }) => ms > 0)
    .map(({ name, colour, ms }) => {
      const left = scale(fromMs);
      fromMs += ms;
      const width = Math.max(0, scale(fromMs) - left);
      return html`<i
        class="c${colour}"
        style="left:${left.toFixed(3)}%;width:${width.toFixed(3)}%"
        title="${name} ${duration(ms)}"
      ></i>`;
    });
  const spoken = `${label}: ${parts.map(({ name, ms }) => `${name} ${duration(ms)}`).join(', ')}`;
  return html`<div class="bar-row">
    <span class="bar-label">${label}</span>
    <span class="bar-value">${duration(totalMs)}</span>
    <div class="bar" role="img" aria-label="${spoken}">${pieces}</div>
  </div>`;
}

function axis(maxMs: number, scale: (ms: number) => number): Markup {
  const ticks = scaleLinear().domain([0, maxMs]).ticks(4);
  const labels = ticks.map((ms, index) => {
    const text = index === ticks.length - 1 ? `${ms}\u00a0ms` : String(ms);
    const side = scale(ms) > 93 ? 'end' : 'middle';
    return html`<span class="${side}" style="left:${scale(ms).toFixed(3)}%">${text}</span>`;
  });
  return html`<div class="bar-axis" aria-hidden="true">${labels}</div>`;
}

function row({ name, what }: Term, index: number, ms: number, predictedMs: number | null): Markup {
  const before = predictedMs === null ? html`<span class="faint">–</span>` : duration(predictedMs);
  return html`<tr>
    <th scope="row"><i class="key c${index + 1}"></i>${name}<span class="what">${what}</span></th>
    <td>${duration(ms)}</td>
    <td>${before}</td>
  </tr>`;
}

/** The downtime's section; null when there was no handover. */
export function downtimeSection(report: MigrationReport): Markup | null {
  const { downtime, downtimeMs, predicted, predictedDowntimeMs } = report;
  if (downtime === null || downtimeMs === null) return null;
  const took = measured(downtime);
  const expected = predicted === null ? [] : predictedParts(predicted);
  const sum = (parts: readonly Part[]): number => parts.reduce((total, { ms }) => total + ms, 0);
  const maxMs = Math.max(sum(took), sum(expected), downtimeMs, predictedDowntimeMs ?? 0, 0.001);
  const scale = scaleLinear().domain([0, maxMs]).range([0, 100]);
  const predictedOf = ({ predictedAs }: Term, index: number): number | null =>
    predicted !== null && predictedAs.some((key) => key in predicted) ? expected[index]!.ms : null;
  const unforeseen = expected.find(({ name }) => name === other);
  return html`<section>
    <h2>The downtime</h2>
    <p class="lead">
      From the last instruction on ${report.host.source} to the first on ${report.host.destination}, by what took the
      time.
    </p>
    ${bar('Measured', downtimeMs, took, scale)}
    ${predictedDowntimeMs === null ? null : bar('Predicted', predictedDowntimeMs, expected, scale)}
    ${axis(maxMs, scale)}
    <table class="numbers">
      <thead>
        <tr>
          <th scope="col">Term</th>
          <td>measured</td>
          <td>predicted</td>
        </tr>
      </thead>
      <tbody>
        ${terms.map((term, index) => row(term, index, finite(downtime[term.key]), predictedOf(term, index)))}
        ${
          unforeseen === undefined
            ? null
            : html`<tr>
                <th scope="row"><i class="key c${terms.length + 1}"></i>${other}</th>
                <td><span class="faint">–</span></td>
                <td>${duration(unforeseen.ms)}</td>
              </tr>`
        }
      </tbody>
      <tfoot>
        <tr>
          <th scope="row">Together</th>
          <td>${duration(downtimeMs)}</td>
          <td>${predictedDowntimeMs === null ? '–' : duration(predictedDowntimeMs)}</td>
        </tr>
      </tfoot>
    </table>
  </section>`;
}
