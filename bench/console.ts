// A guest's console log, watched while it grows: when which line came, by this machine's clock. The guest's own clock is no
// yardstick here, as being recorded or moved may slow it down.
import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** A numbered line of a workload. */
export interface ConsoleLine {
  /** The line's own number. */
  readonly number: number;
  /** The workload's count of work done; for `idle`, which does none, its number. */
  readonly work: number;
  /** When it was seen, in ms of this process's monotonic clock. */
  readonly atMs: number;
}

const workOf: Readonly<Record<string, RegExp>> = {
  hotset: /^count (\d+) .*\bwrites=(\d+)/,
  compile: /^count (\d+) .*\bunits=(\d+)/,
  alu: /^count (\d+) .*\bops=(\d+)/,
  idle: /^tick ((\d+))\b/,
};

/** Reads a numbered line; null for any other. */
export function parseLine(workload: string, text: string): { number: number; work: number } | null {
  const found = workOf[workload]?.exec(text);
  return found ? { number: Number(found[1]), work: Number(found[2]) } : null;
}

const pollMs = 10;

/** Follows a console log from its start until it is closed. */
export class ConsoleWatch {
  readonly lines: ConsoleLine[] = [];
  #closed = false;
  #failed: Error | null = null;
  readonly #following: Promise<void>;

  constructor(
    readonly file: string,
    readonly workload: string,
  ) {
    this.#following = this.#follow().catch((error: unknown) => {
      this.#failed = error instanceof Error ? error : new Error(String(error));
    });
  }

  /** Waits for `count` lines in all. @throws when they do not come in time, or the guest found its data wrong */
  async waitFor(count: number, withinMs: number): Promise<void> {
    const until = performance.now() + withinMs;
    while (this.lines.length < count) {
      if (this.#failed) throw this.#failed;
      if (performance.now() > until) {
        throw new Error(`${this.file}: ${this.lines.length} of ${count} lines within ${withinMs} ms`);
      }
      await sleep(pollMs);
    }
  }

  /**
   * Work a second between two moments; null when fewer than two lines came. Taken from one line that reports new work to
   * another, so that a workload whose units take longer than its lines is not rounded down.
   * @throws when the guest found its data wrong
   */
  rate(fromMs: number, toMs: number): number | null {
    if (this.#failed) throw this.#failed;
    const within = this.lines.filter(
      ({ atMs, work }, index) => atMs >= fromMs && atMs <= toMs && work !== this.lines[index - 1]?.work,
    );
    const [first, last] = [within[0], within.at(-1)];
    if (first === undefined || last === undefined || last.atMs <= first.atMs) return null;
    return ((last.work - first.work) * 1000) / (last.atMs - first.atMs);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#following;
  }

  async #follow(): Promise<void> {
    const handle = await this.#open();
    if (handle === null) return;
    const chunk = Buffer.alloc(64 * 1024);
    let rest = '';
    try {
      while (!this.#closed) {
        const { bytesRead } = await handle.read(chunk, 0, chunk.length, null);
        if (bytesRead === 0) {
          await sleep(pollMs);
          continue;
        }
        const texts = (rest + chunk.toString('latin1', 0, bytesRead)).split('\n');
        rest = texts.pop() ?? '';
        for (const text of texts) this.#take(text);
      }
    } finally {
      await handle.close();
    }
  }

  #take(text: string): void {
    if (text.startsWith('CORRUPT')) throw new Error(`${this.file}: the guest says ${text}`);
    const line = parseLine(this.workload, text);
    if (line !== null) this.lines.push({ ...line, atMs: performance.now() });
  }

  async #open(): Promise<Awaited<ReturnType<typeof open>> | null> {
    while (!this.#closed) {
      try {
        return await open(this.file, 'r');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
        await sleep(pollMs);
      }
    }
    return null;
  }
}
