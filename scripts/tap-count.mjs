// Prints "N passed, N failed[, N skipped]" for a raw TAP file of a whole run. What is counted is the test with a name: each
// test point one level below its file. A file that failed without any failing test of its own (it crashed, or planned more)
// counts as one failure.
import { readFileSync } from 'node:fs';

const counts = { passed: 0, failed: 0, skipped: 0 };
let failedBelow = 0;
for (const line of readFileSync(process.argv[2], 'utf8').split('\n')) {
  const point = /^( {4})?(not )?ok \d+(.*)$/.exec(line);
  if (point === null) continue;
  const [, below, not, rest] = point;
  const failed = not !== undefined;
  if (/ # (SKIP|TODO)\b/i.test(rest)) {
    if (below !== undefined) counts.skipped += 1;
  } else if (below === undefined) {
    if (failed && failedBelow === 0) counts.failed += 1;
    failedBelow = 0;
  } else if (failed) {
    counts.failed += 1;
    failedBelow += 1;
  } else {
    counts.passed += 1;
  }
}
const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : '';
console.log(`${counts.passed} passed, ${counts.failed} failed${skipped}`);
