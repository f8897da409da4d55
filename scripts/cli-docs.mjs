// Writes what is derived from the commands themselves: oclif.manifest.json, from which the CLI knows its commands without
// loading them, and docs/cli.md. test/commands compares both with the commands.
//
//   make docs        or, after a build: node scripts/cli-docs.mjs
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cliPage, readCommands } from '../dist/cli/reference.js';
import { format, resolveConfig } from 'prettier';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

const pretty = async (path, text) => {
  const options = { ...(await resolveConfig(path)), filepath: path };
  writeFileSync(path, await format(text, options));
};

const manifest = await readCommands(root);
await pretty(join(root, 'oclif.manifest.json'), JSON.stringify(manifest));
await pretty(join(root, 'docs/cli.md'), cliPage(manifest));
