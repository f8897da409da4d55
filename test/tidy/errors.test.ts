// docs/errors.md lists every code with its meaning and its hint, and no other. `make docs` brings it up to date.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { ERROR_CODES } from '../../src/errors.js';
import { treeFiles } from './tree.js';

const rows = new Map(
  readFileSync('docs/errors.md', 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [, code, ...cells] = line.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll('\\|', '|'));
      return code !== undefined && /^`E_\w+`$/.test(code) ? [[code.slice(1, -1), cells] as const] : [];
    }),
);

t.test('every code is documented as the table has it', async (t) => {
  for (const [code, { summary, hint, exit, recovery }] of Object.entries(ERROR_CODES)) {
    t.same(rows.get(code)?.slice(0, 4), [summary, hint, recovery, String(exit)], `${code} (mend with: make docs)`);
  }
});

t.test('no code is documented that does not exist', async (t) => {
  t.same(
    [...rows.keys()].filter((code) => !(code in ERROR_CODES)),
    [],
  );
});

t.test('every code is used somewhere', async (t) => {
  const source = treeFiles(/^src\/.*\.ts$/)
    .map(({ path, text }) => (path === 'src/errors.ts' ? text.replace(/^ {2}E_\w+: code\(/gm, '') : text))
    .join('\n');
  t.same(
    Object.keys(ERROR_CODES).filter((code) => !source.includes(`'${code}'`)),
    [],
  );
});
