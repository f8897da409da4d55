// Every target, each as a test: what it once failed on first, the same each time; then new inputs for some seconds.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { foldersOf, inputsIn } from './corpus.js';
import { nativeTargets, runNative } from './native.js';
import { clearScratch } from './scratch.js';
import type { Target } from './target.js';

const targetNames = readdirSync('test/fuzz/targets').map((file) => file.replace(/\.ts$/, ''));

async function replay(t: Test, name: string): Promise<void> {
  const { findings } = foldersOf(name);
  if (name in nativeTargets) {
    const files = inputsIn(findings).map((input) => join(findings, input.name));
    if (files.length > 0) t.equal(runNative(name, files), 0, `${files.length} findings`);
    return;
  }
  const { target } = (await import(`./targets/${name}.js`)) as { readonly target: Target };
  for (const { name: file, bytes } of inputsIn(findings)) {
    await t.resolves(
      (async () => target.run(bytes))(),
      `${join(findings, file)} (reproduce: node build/test/fuzz/main.js ${name} ${join(findings, file)})`,
    );
  }
}

/** Seeds and findings, and nothing of earlier runs: a short run must not begin with an hour's corpus. */
async function explore(t: Test, name: string, seconds: number): Promise<void> {
  const { seeds, findings } = foldersOf(name);
  const inputs = [t.testdir(), seeds, ...(inputsIn(findings).length > 0 ? [findings] : [])];
  const child = spawn(
    process.execPath,
    ['build/test/fuzz/main.js', name, `-max_total_time=${seconds}`, '-print_final_stats=1', ...inputs],
    { stdio: ['ignore', 'inherit', 'pipe'] },
  );
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-8000)));
  const status = await new Promise<number | null>((ended) => child.once('close', ended));
  clearScratch();
  t.equal(status, 0, `new inputs; what broke it lies in out/fuzz/${name}`);
  if (status !== 0) t.comment(said);
  else t.comment(/number_of_executed_units: (\d+)/.exec(said)?.[0] ?? said.slice(-200));
}

/** Runs all targets, `seconds` each. */
export function fuzzAll(t: Test, seconds: number): void {
  for (const name of [...targetNames, ...Object.keys(nativeTargets)]) {
    t.test(name, async (t) => {
      await replay(t, name);
      await explore(t, name, seconds);
    });
  }
}
