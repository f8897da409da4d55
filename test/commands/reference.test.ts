// What is derived from the commands is committed; `make docs` brings it up to date. Runs on dist/, as the CLI does.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { cliPage, readCommands } from '../../src/cli/reference.js';

const manifest = await readCommands(process.cwd());

t.test('oclif.manifest.json is current', async (t) => {
  t.same(JSON.parse(readFileSync('oclif.manifest.json', 'utf8')), manifest, 'mend with: make docs');
});

t.test('docs/cli.md is current', async (t) => {
  const { format, resolveConfig } = await import('prettier');
  const options = { ...(await resolveConfig('docs/cli.md')), filepath: 'docs/cli.md' };
  t.equal(readFileSync('docs/cli.md', 'utf8'), await format(cliPage(manifest), options), 'mend with: make docs');
});

t.test('every command says what it does, with an example, in text or JSON, in any state directory', async (t) => {
  for (const { id, summary, description, examples, flags } of Object.values(manifest.commands)) {
    t.ok(summary && description && examples && examples.length > 0, id);
    t.ok(flags['json'] && flags['home'], `${id} has the common flags`);
    for (const flag of Object.values(flags)) t.ok(flag.summary, `${id} --${flag.name} says what it does`);
  }
});
