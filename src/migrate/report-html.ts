// report.html: one migration on one page, for whoever wants to see at a glance how it went and then why. The page is one file
// that fetches nothing (its policy forbids it), runs no script, and fits a telephone.
import { bytesSection, digestsSection, logSection, pausesSection, placesSection } from './report-tables.js';
import { downtimeSection } from './report-downtime.js';
import { html, Markup, type Piece } from './report-markup.js';
import { duration, size } from './report-quantities.js';
import { seriesSection } from './report-series.js';
import { reportStyle } from './report-style.js';
import { headline, summary } from './report-words.js';
import type { MigrationReport } from './report.js';

/** The report as an HTML document. */
export function renderReport(report: MigrationReport): string {
  const title = headline(report);
  const page = html`<!DOCTYPE html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'" />
        <title>${title} · trmig</title>
        <style>
          ${new Markup(reportStyle)}
        </style>
      </head>
      <body>
        <main>
          ${header(report, title)} ${tiles(report)} ${errorSection(report)} ${downtimeSection(report)}
          ${seriesSection(report)}
          <div class="pair">
            ${bytesSection(report)}
            <div>${digestsSection(report)}${pausesSection(report)}</div>
          </div>
          <div class="pair">${logSection(report)}${placesSection(report)}</div>
          <footer>Written by trmig ${report.host.trmig}. The same in numbers: report.json, beside this file.</footer>
        </main>
      </body>
    </html> `;
  return page.text;
}

function header(report: MigrationReport, title: string): Markup {
  const day = report.startedAt.replace('T', ' ').replace(/(\.\d+)?Z$/, ' UTC');
  return html`<header>
    <div class="top">
      <span class="badge ${report.outcome}">${report.outcome}</span><span>trmig migration</span><span>${day}</span>
    </div>
    <h1>${title}</h1>
    <p>${summary(report).join(' ')}</p>
  </header>`;
}

function tile(name: string, value: string, below: Piece): Markup {
  return html`<div>
    <dt>${name}</dt>
    <dd class="big">${value}</dd>
    <dd class="sub">${below}</dd>
  </div>`;
}

function tiles(report: MigrationReport): Markup {
  const { downtimeMs, predictedDowntimeMs, totalMs, bytes, pauses, log } = report;
  const predicted = predictedDowntimeMs === null ? 'no prediction' : `predicted ${duration(predictedDowntimeMs)}`;
  const longest = Math.max(0, ...pauses.map(({ ms }) => ms));
  return html`<dl class="tiles">
    ${tile('Downtime', downtimeMs === null ? 'none' : duration(downtimeMs), downtimeMs === null ? 'there was no handover' : predicted)}
    ${tile('Total time', duration(totalMs), longest > 0 ? `longest other pause ${duration(longest)}` : 'no other pause')}
    ${tile('Sent', size(bytes.total), `${size(bytes.base)} of it the base image`)}
    ${tile('Log', size(bytes.log), `${size(log.rawBytes)} before compression`)}
  </dl>`;
}

function errorSection({ error, outcome }: MigrationReport): Markup | null {
  if (error === null) return null;
  const known = Object.entries(error.facts);
  return html`<section class="error">
    <h2>${outcome === 'aborted' ? 'Why it was stopped' : 'What went wrong'}</h2>
    <p>${withCode(error.message)}</p>
    <p class="hint"><b>What to do:</b> ${withCode(error.hint)}</p>
    <p class="what">
      <code>${error.code}</code>${known.map(([name, value]) => html` · ${name} <code>${String(value)}</code>`)}
    </p>
  </section>`;
}

/** Messages put commands in backticks. */
function withCode(text: string): Piece {
  return text.split('`').map((part, index) => (index % 2 === 1 ? html`<code>${part}</code>` : part));
}
