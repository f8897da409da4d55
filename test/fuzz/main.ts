// Fuzzes one target: node build/test/fuzz/main.js NAME [libFuzzer's arguments]
// Without a folder or file among these it goes on with what it has found before, in out/fuzz/NAME.
import { existsSync, readdirSync } from 'node:fs';
import { foldersOf, writeInputs } from './corpus.js';
import type { Target } from './target.js';

const [program = '', script = '', name = '', ...given] = process.argv;
const names = readdirSync('test/fuzz/targets').map((file) => file.replace(/\.ts$/, ''));
const folders = foldersOf(name);

function argumentsFor(bytesMax: number): string[] {
  const argv = [`-artifact_prefix=${folders.broken}`, `-max_len=${bytesMax}`, '-rss_limit_mb=1500', '-timeout=200'];
  if (given.some((argument) => !argument.startsWith('-'))) return [...argv, ...given];
  const inputs = [folders.corpus, folders.seeds, ...(existsSync(folders.findings) ? [folders.findings] : [])];
  return [...argv, ...given, ...inputs];
}

const bytesMax = 4096;
if (!names.includes(name)) {
  // Not before it is needed: what makes native seeds loads modules that must be instrumented first.
  const { nativeTargets, runNative } = await import('./native.js');
  const seedsOf = nativeTargets[name];
  if (seedsOf === undefined) {
    process.stderr.write(`fuzz: the targets are ${[...names, ...Object.keys(nativeTargets)].join(' ')}\n`);
    process.exit(2);
  }
  writeInputs(folders.seeds, seedsOf());
  process.exit(runNative(name, argumentsFor(bytesMax)));
}
const { fuzz, instrument } = await import('./engine.js');
instrument();
const { target } = (await import(`./targets/${name}.js`)) as { readonly target: Target };
writeInputs(folders.seeds, await target.seeds());
// The first is libFuzzer's own name: what it starts itself again by, to minimize an input.
await fuzz([`${program} ${script} ${name}`, ...argumentsFor(target.bytesMax ?? bytesMax)], target);
process.exit(0);
