// Runs the built CLI as a person would: another process, a state directory of its own. Whatever a test does, no QEMU and no
// directory of it is left.
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import { Home, Machine } from '../../src/index.js';

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** stdout as JSON lines. */
  readonly json: Record<string, unknown>[];
}

export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ran>;
  /** stdout so far. */
  readonly said: () => string;
}

export class Cli {
  private constructor(
    /** The state directory. */
    readonly home: string,
    private readonly running: Set<ChildProcess>,
  ) {}

  static async make(t: Test): Promise<Cli> {
    // A short path: sockets lie in it.
    const home = await mkdtemp(path.join(tmpdir(), 'trmig-t-'));
    const running = new Set<ChildProcess>();
    t.teardown(async () => {
      for (const child of running) child.kill('SIGKILL');
      await stopAll(home);
      await rm(home, { recursive: true, force: true });
    });
    return new Cli(home, running);
  }

  file(name: string): string {
    return path.join(this.home, name);
  }

  run(...args: string[]): Promise<Ran> {
    return this.start(...args).ended;
  }

  start(...args: string[]): Running {
    const env = { ...process.env, TRMIG_HOME: this.home, NO_COLOR: '1' };
    const child = spawn(process.execPath, ['bin/trmig.js', ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.running.add(child);
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const ended = new Promise<Ran>((resolve) => {
      child.once('close', (code) => {
        this.running.delete(child);
        resolve({ code, stdout, stderr, json: jsonLines(stdout) });
      });
    });
    return { child, ended, said: () => stdout };
  }

  /** Waits until the guest has written `count` lines that match. */
  async guestSays(name: string, pattern: RegExp, count = 1): Promise<string[]> {
    return until(`'${name}' says ${pattern} ${count} times`, async () => {
      const log = await readFile(path.join(this.home, 'machines', name, 'console.log'), 'utf8').catch(() => '');
      const lines = log.split(/\r?\n/).filter((line) => pattern.test(line));
      return lines.length >= count ? lines : null;
    });
  }
}

/** Polls until `look` finds something. */
export async function until<T>(what: string, look: () => Promise<T | null>, msMax = 60_000): Promise<T> {
  for (const endMs = performance.now() + msMax; performance.now() < endMs; await sleep(50)) {
    const found = await look();
    if (found !== null) return found;
  }
  throw new Error(`waited in vain: ${what}`);
}

/** The `error` of a JSON answer. */
export function errorOf(ran: Ran): { code?: string; message?: string; hint?: string } {
  return ran.json.at(-1)?.['error'] ?? {};
}

/** The pids of this test's QEMUs, by the state directory on their command lines. */
export async function qemusOf(home: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
  return pids.filter((_, i) => lines[i]!.includes('qemu-system') && lines[i]!.includes(`${home}/`));
}

async function stopAll(home: string): Promise<void> {
  for (const { name, state } of await Machine.list({ home: new Home(home) })) {
    if (state !== 'running') continue;
    const machine = await Machine.open(name, { home: new Home(home) }).catch(() => null);
    await machine?.stop({ graceful: false }).catch(() => undefined);
  }
  for (const pid of await qemusOf(home)) process.kill(pid, 'SIGKILL');
}

function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
