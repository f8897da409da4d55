// Another real process whose memory a test reads and writes. It is compiled once per test file and ends with its stdin.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface Holder {
  readonly pid: number;
  readonly blocks: readonly { readonly name: string; readonly address: number; readonly bytes: number }[];
  /** Ends the process and waits until it has gone. */
  end(): Promise<void>;
}

export function projectRoot(): string {
  for (let at = dirname(fileURLToPath(import.meta.url)); at !== dirname(at); at = dirname(at)) {
    const manifest = join(at, 'package.json');
    if (existsSync(manifest)) return dirname(realpathSync(manifest));
  }
  throw new Error('no package.json above the test');
}

let program: string | undefined;

function holderProgram(): string {
  if (program === undefined) {
    const dir = mkdtempSync(join(tmpdir(), 'trmig-holder-'));
    process.once('exit', () => rmSync(dir, { recursive: true, force: true }));
    program = join(dir, 'holder');
    execFileSync('cc', ['-O2', '-Wall', '-Werror', '-o', program, join(projectRoot(), 'test', 'native', 'holder.c')]);
  }
  return program;
}

/** Starts a process with a block for each of `blocks` (`bytes:pattern`, see holder.c). */
export async function startHolder(...blocks: string[]): Promise<Holder> {
  const child = spawn(holderProgram(), blocks, { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const lines = createInterface({ input: child.stdout });
  const [line] = (await once(lines, 'line')) as [string];
  const { pid, blocks: mapped } = JSON.parse(line) as Omit<Holder, 'end'>;
  return {
    pid,
    blocks: mapped,
    end: async () => {
      child.stdin.end();
      await exited;
    },
  };
}

/** Numbers that are the same for the same seed: mulberry32, as integers below `bound`. */
export function seededRandom(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * bound);
  };
}
