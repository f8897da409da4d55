// Writes docs/errors.md from the table of codes in dist/errors.js, so that the two cannot drift apart (test/tidy compares them).
//
//   make docs        or, after a build: node scripts/errors-doc.mjs
import { writeFileSync } from 'node:fs';
import { format, resolveConfig } from 'prettier';
import { ERROR_CODES } from '../dist/errors.js';

const cell = (value) => String(value).replaceAll('|', '\\|');
const rows = Object.entries(ERROR_CODES)
  .sort(([a], [b]) => (a < b ? -1 : 1))
  .map(([code, { summary, hint, recovery, exit }]) =>
    ['', `\`${code}\``, cell(summary), cell(hint), recovery, exit, ''].join(' | ').trim(),
  );

const page = `# Errors

Every error that trmig reports has one of these codes. A code keeps its meaning for good; scripts may match it, in the JSON
that \`--json\` prints or in the library's \`TrmigError.code\`. An error often carries a more exact hint than the one listed.

The last columns say how a program may react (\`retry\` as it is, \`fix\` something first, or report a \`bug\`) and the exit code
of the command.

| Code | What it means | What mends it | Reaction | Exit |
| --- | --- | --- | --- | --- |
${rows.join('\n')}
`;

const path = 'docs/errors.md';
writeFileSync(path, await format(page, { ...(await resolveConfig(path)), filepath: path }));
