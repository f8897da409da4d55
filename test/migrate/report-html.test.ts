// The HTML report: what it says for each outcome, that it stands alone, and that foreign text stays text.
import t from 'tap';
import { renderReport } from '../../src/migrate/report-html.js';
import type { MigrationReport } from '../../src/migrate/report.js';
import * as examples from './report-examples.js';

/** What is wrong with a document's tags; null if they nest and every one that opens is closed. */
function badlyFormed(document: string): string | null {
  const open: string[] = [];
  const body = document.replace(/^<!DOCTYPE html>\n/, '').replace(/<style>[^<]*<\/style>/, '');
  const tags = /<(\/?)([a-z][a-z0-9]*)((?:\s+[a-zA-Z-]+="[^"<>]*")*)\s*(\/?)\s*>/g;
  for (const [, closing, name, , empty] of body.matchAll(tags)) {
    if (empty) continue;
    if (!closing) open.push(name!);
    else if (open.pop() !== name) return `</${name!}> closes another`;
  }
  if (open.length > 0) return `<${open.at(-1)!}> is not closed`;
  const text = body.replace(tags, '');
  if (/[<>]/.test(text)) return `a stray bracket: ${/.{0,40}[<>].{0,40}/.exec(text)![0]}`;
  const ampersand = /&(?!(amp|lt|gt|quot|#39);).{0,20}/.exec(text);
  return ampersand ? `a stray ampersand: ${ampersand[0]}` : null;
}

const text = (document: string): string =>
  document
    .replace(/<style>[^<]*<\/style>/, '')
    .replace(/<[^>]*>/g, ' ')
    .replace(/[\s\u00a0]+/g, ' ');

t.test('the check for well-formedness finds what is not', async (t) => {
  t.equal(badlyFormed('<p><b>a</b></p>'), null);
  t.match(badlyFormed('<p><b>a</p></b>'), /closes another/);
  t.match(badlyFormed('<p>'), /not closed/);
  t.match(badlyFormed('<p>a < b</p>'), /stray bracket/);
  t.match(badlyFormed('<p a=b>x</p>'), /closes another|stray/);
  t.match(badlyFormed('<p>a & b</p>'), /ampersand/);
});

t.test('every outcome renders as a well-formed document that stands alone', async (t) => {
  for (const [name, report] of Object.entries(examples)) {
    const document = renderReport(report);
    t.equal(badlyFormed(document), null, `${name} is well-formed`);
    const tags = (document.match(/<[^>]*>|<style>[^<]*/g) ?? []).join('\n');
    t.notMatch(
      tags,
      /https?:|\ssrc=|\shref=|@import|url\(|<script|<link|\son[a-z]+=/i,
      `${name} fetches and runs nothing`,
    );
    t.match(document, /Content-Security-Policy" content="default-src 'none'/, `${name} forbids fetching`);
    t.match(document, /<meta name="viewport"/, `${name} is fit for a telephone`);
    t.match(document, /prefers-color-scheme:dark/, `${name} has a dark side`);
    t.notMatch(document, /NaN|Infinity|undefined|\[object/, `${name} shows no value that is none`);
  }
});

t.test('a completed migration shows its downtime, terms, bytes and digests', async (t) => {
  const said = text(renderReport(examples.completed));
  for (const part of [
    'builder moved with 6.41 ms of downtime',
    'from alder to birch in 2.36 s',
    '7.02 ms had been predicted',
    'registers, device state and memory were equal on both hosts',
    'never stopped for more than 4.12 ms',
    'slowed by up to 35 % (9.2 % on average while catching up)',
    'Its clock fell behind by 41.2 ms',
    'Base image memory at the start 31.0 MiB',
    'Log what happened to it since then 12.5 KiB',
    'Ownership writing down on both hosts who owns it 2.48 ms 3.10 ms',
  ]) {
    t.ok(said.includes(part), part);
  }
});

t.test('the plots draw every series over the whole time', async (t) => {
  const document = renderReport(examples.completed);
  t.equal(document.match(/class="stroke"/g)?.length, 7);
  for (const stage of ['start', 'base image', 'catching up', 'handover'])
    t.ok(document.includes(`title="${stage} `), stage);
});

t.test('a migration that did not happen says where the machine is, and what to do', async (t) => {
  const abortedText = text(renderReport(examples.aborted));
  t.match(abortedText, /builder stays where it was: the migration was stopped/);
  t.match(abortedText, /builder runs on at alder/);
  t.match(abortedText, /Why it was stopped/);
  const failedText = text(renderReport(examples.failed));
  t.match(failedText, /builder did not move/);
  t.match(failedText, /birch:7700 does not answer any more/);
  t.match(failedText, /What to do: Look at the machine there/);
  t.match(failedText, /E_CONNECT/);
  t.match(failedText, /ended before there was anything to draw/);
  t.match(text(renderReport(examples.unresolved)), /It is not settled where builder runs/);
});

t.test('foreign text is text', async (t) => {
  const document = renderReport(examples.hostile);
  t.ok(document.includes('&lt;script&gt;alert(1)&lt;/script&gt;'));
  t.notMatch(document, /<script|<img|<b>arm/);
  // eslint-disable-next-line no-control-regex
  t.notMatch(document, /[\u0000\u001b]/);
});

t.test('samples that are no numbers, and times without extent, are survived', async (t) => {
  const nothing = Object.fromEntries(Object.keys(examples.completed.samples[0]!).map((key) => [key, NaN]));
  const sample = { ...examples.completed.samples[0]!, ...nothing, phase: 'shipping', atMs: 0 };
  const report: MigrationReport = { ...examples.completed, totalMs: 0, samples: [sample, sample] };
  const document = renderReport(report);
  t.equal(badlyFormed(document), null);
  t.notMatch(document, /NaN|Infinity/);
});
