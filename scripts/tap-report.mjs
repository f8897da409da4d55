// Reads TAP from tap and writes what a person wants of it: a line for each test file as it ends, each failure with its
// diagnosis, and last "N passed, N failed[, N skipped]" alone on a line.
//
//   tap --reporter=tap … | node scripts/tap-report.mjs COUNT-FILE     keeps that last line in COUNT-FILE too
//
// What is counted is the test with a name: each test point one level below its file. A file that failed without any failing
// test of its own (it crashed, or planned more) counts as one failure.
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const counts = { passed: 0, failed: 0, skipped: 0 };
let below = { passed: 0, failed: 0, skipped: 0 };
let failures = [];
let failedDepth = 0;
let diagnosed = false;
let explains = false;

/** A test point: its depth, its outcome, its name, how long it took. */
function pointOf(line) {
  const match = /^( *)(not )?ok \d+(?: - (.*?))?(?: # (skip|todo|time)\b(?:=([\d.]+)(m?s))?.*)?$/i.exec(line);
  if (match === null) return undefined;
  const [, indent, not, name = '', directive = '', time = '0', unit] = match;
  const outcome = /skip|todo/i.test(directive) ? 'skipped' : not === undefined ? 'passed' : 'failed';
  return { depth: indent.length / 4, outcome, name, seconds: Number(time) / (unit === 'ms' ? 1000 : 1) };
}

function endFile({ outcome, name, seconds }) {
  if (outcome === 'failed' && below.failed === 0) below.failed = 1;
  for (const kind of Object.keys(counts)) counts[kind] += below[kind];
  const skipped = below.skipped > 0 ? `, ${below.skipped} skipped` : '';
  const file = name.replace(/^build\/|\.js$/g, '');
  console.log(
    `${below.failed > 0 ? 'FAIL' : 'ok  '} ${file}: ${below.passed} passed, ${below.failed} failed${skipped} (${seconds.toFixed(0)} s)`,
  );
  if (below.failed > 0) for (const line of failures) console.log(`     ${line}`);
  below = { passed: 0, failed: 0, skipped: 0 };
  failures = [];
  failedDepth = 0;
}

for await (const line of createInterface({ input: process.stdin })) {
  const point = pointOf(line);
  if (point !== undefined) {
    // A failure's diagnosis is told once, where it happened; the tests around it say only their names.
    diagnosed = point.outcome === 'failed' && point.depth >= failedDepth && point.depth > 0;
    if (diagnosed) failures.push(line);
    else if (point.outcome === 'failed' && point.depth > 0)
      failures.push(`${'    '.repeat(point.depth)}in: ${point.name}`);
    failedDepth = point.outcome === 'failed' ? point.depth : Math.min(failedDepth, point.depth);
    if (point.depth === 1) below[point.outcome] += 1;
    if (point.depth === 0) {
      // What follows is why the file itself failed: of interest if no test of its own did.
      explains = point.outcome === 'failed' && below.failed === 0;
      endFile(point);
    }
  } else if (diagnosed) {
    failures.push(line);
    diagnosed = !/^ *\.\.\.$/.test(line);
  } else if (explains) {
    console.log(`     ${line}`);
    explains = !/^ *\.\.\.$/.test(line);
  } else if (/^ *Bail out!/.test(line)) {
    console.log(line.trim());
  }
}

const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : '';
const summary = `${counts.passed} passed, ${counts.failed} failed${skipped}`;
if (process.argv[2] !== undefined) writeFileSync(process.argv[2], `${summary}\n`);
console.log(`\n${summary}`);
