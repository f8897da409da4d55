// Child processes that say lines of JSON, and can be killed.
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import type { Home } from '../../src/machine/index.js';
import { until } from './stage.js';

export type Said = Readonly<Record<string, unknown>>;

export class Child {
  readonly said: Said[] = [];
  readonly ended: Promise<unknown>;
  #rest = '';

  constructor(readonly process: ChildProcess) {
    this.ended = new Promise((resolve) => process.once('close', resolve));
    process.stdout!.on('data', (chunk: Buffer) => {
      const lines = (this.#rest + chunk.toString('utf8')).split('\n');
      this.#rest = lines.pop()!;
      this.said.push(...lines.map((line) => JSON.parse(line) as Said));
    });
  }

  get pid(): number {
    return this.process.pid!;
  }

  /** The first message that has this member (with this value, when one is given). Fails when it ends without. */
  async says(member: string, value?: unknown): Promise<Said> {
    const find = (): Said | undefined =>
      this.said.find((message) => member in message && (value === undefined || message[member] === value));
    const gone = (): boolean => this.process.exitCode !== null || this.process.signalCode !== null;
    await until(`process ${this.pid} says ${member}`, () => find() !== undefined || gone());
    await (find() === undefined ? this.ended : undefined);
    const message = find();
    if (message === undefined) throw new Error(`it ended without saying ${member}: ${JSON.stringify(this.said)}`);
    return message;
  }

  /** kill -9; resolves when it is gone. */
  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.ended;
  }

  /** The most that it has had resident until now, in bytes. */
  get peakBytes(): number {
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'))![1]) * 1024;
  }
}

function start(t: Test, script: string, args: readonly string[]): Child {
  const file = fileURLToPath(new URL(script, import.meta.url));
  const child = new Child(spawn(process.execPath, [file, ...args], { stdio: ['pipe', 'pipe', 'inherit'] }));
  t.teardown(() => child.kill());
  return child;
}

/** A receiver that can be killed; it listens already. */
export async function receiverProcess(t: Test, home: Home): Promise<Child & { port: number }> {
  const child = start(t, 'receiver-process.js', [home.root]);
  const port = Number((await child.says('port'))['port']);
  return Object.assign(child, { port });
}

/** A source that can be killed; it has just begun. */
export function senderProcess(t: Test, home: Home, port: number, maxDowntimeMs: number): Child {
  return start(t, 'sender-process.js', [home.root, 'm', String(port), String(maxDowntimeMs)]);
}
