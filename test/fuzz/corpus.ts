// Where inputs lie: findings, minimized, in fixtures/fuzz/<target>/ for ever; seeds and what libFuzzer keeps in out/fuzz/.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Folders {
  /** Committed regression inputs. */
  readonly findings: string;
  readonly seeds: string;
  /** What libFuzzer has found interesting. */
  readonly corpus: string;
  /** Prefix of the files in which it leaves what broke something. */
  readonly broken: string;
}

/** The folders of a target, made where they are missing. */
export function foldersOf(name: string): Folders {
  const findings = join('fixtures/fuzz', name);
  const [seeds, corpus] = [join('out/fuzz', name, 'seeds'), join('out/fuzz', name, 'corpus')];
  for (const folder of [seeds, corpus]) mkdirSync(folder, { recursive: true });
  return { findings, seeds, corpus, broken: `${join('out/fuzz', name)}/` };
}

/** Files of a folder by their names, in order; none when there is no such folder. */
export function inputsIn(folder: string): { readonly name: string; readonly bytes: Buffer }[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .sort()
    .map((name) => ({ name, bytes: readFileSync(join(folder, name)) }));
}

/** Writes inputs, each under its digest. */
export function writeInputs(folder: string, inputs: readonly Uint8Array[]): void {
  for (const bytes of inputs) {
    writeFileSync(join(folder, createHash('sha1').update(bytes).digest('hex')), bytes);
  }
}
