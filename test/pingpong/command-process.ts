// A command of trmig's on a host of the test's. The test starts nsenter, and that the command: signals are for the latter.
import { readFileSync } from 'node:fs';
import type { ChildProcess } from 'node:child_process';
import { Child } from '../system/child.js';
import { sleep } from '../system/stage.js';

const startMsMax = 60_000;

export class CommandProcess extends Child {
  /** The command itself, as this machine sees it. */
  ownPid = 0;

  /** Of a child that has just been started on a host. @throws when it ends at once */
  static async of(child: ChildProcess): Promise<CommandProcess> {
    const command = new CommandProcess(child);
    for (const untilMs = performance.now() + startMsMax; performance.now() < untilMs; await sleep(1)) {
      if (command.isGone) break;
      command.ownPid = Number(readOr(`/proc/${child.pid}/task/${child.pid}/children`, '').trim().split(' ')[0]);
      if (command.ownPid > 0) return command;
    }
    throw new Error(`process ${child.pid} has no command`);
  }

  get isGone(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }

  signal(name: NodeJS.Signals): void {
    if (this.isGone) return;
    try {
      process.kill(this.ownPid, name);
    } catch {
      // It has ended, and this process will hear of it.
    }
    // nsenter stops with what it has started, and neither goes on, nor learns of an end, by itself.
    if (name === 'SIGCONT' || name === 'SIGKILL') this.process.kill('SIGCONT');
  }

  /** Stops it; when this resolves it stands still. */
  async suspend(): Promise<void> {
    this.signal('SIGSTOP');
    while (!this.isGone && !/\) [TZX]/.test(readOr(`/proc/${this.ownPid}/stat`, ') X'))) await sleep(1);
  }

  override async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.ended;
  }

  get lastPhase(): string | undefined {
    return this.said.findLast((message) => 'phase' in message)?.['phase'] as string | undefined;
  }

  came(phase: string): boolean {
    return this.said.some((message) => message['phase'] === phase);
  }
}

function readOr(file: string, otherwise: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return otherwise;
  }
}
