// A guest's console log, watched while it grows: when which line and which beat came, by this machine's clock. The guest's own
// clock is no yardstick here, as being recorded or moved may slow it down.
//
// The kernel says when the log has grown, so a beat is seen a fraction of a millisecond after QEMU has written it, and a quiet
// console costs nothing.
import { closeSync, constants, openSync, readSync, watch, type FSWatcher } from 'node:fs';
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
  diskwriter: /^count (\d+) .*\brecords=(\d+)/,
  echo: /^count (\d+) .*\btcp=(\d+)/,
  idle: /^tick ((\d+))\b/,
};

/** Reads a numbered line; null for any other. */
export function parseLine(workload: string, text: string): { number: number; work: number } | null {
  const found = workOf[workload]?.exec(text);
  return found ? { number: Number(found[1]), work: Number(found[2]) } : null;
}

const pollMs = 10;
/** Should a notice of the kernel's be lost, the log is read all the same. */
const idleMs = 250;
const [newline, beat] = [0x0a, 0x00];

/** Takes a console's bytes apart: whole lines, and how many beats came before, between and within them. */
export class ConsoleText {
  #rest: number[] = [];

  /** The lines that these bytes complete, and the beats among them. */
  push(bytes: Uint8Array): { lines: string[]; beats: number } {
    const lines: string[] = [];
    let beats = 0;
    for (const byte of bytes) {
      if (byte === newline) {
        lines.push(Buffer.from(this.#rest).toString('latin1'));
        this.#rest = [];
      } else if (byte === beat) beats++;
      else this.#rest.push(byte);
    }
    return { lines, beats };
  }
}

/** Follows a console log from its start until it is closed. */
export class ConsoleWatch {
  readonly lines: ConsoleLine[] = [];
  /** When the guest's beats were seen, ms. */
  readonly beats: number[] = [];
  readonly #text = new ConsoleText();
  readonly #chunk = Buffer.alloc(64 * 1024);
  #closed = false;
  #failed: Error | null = null;
  #wake: () => void = () => undefined;
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
      this.check();
      if (performance.now() > until) {
        throw new Error(`${this.file}: ${this.lines.length} of ${count} lines within ${withinMs} ms`);
      }
      await sleep(pollMs);
    }
  }

  /** @throws when the guest found its data wrong */
  check(): void {
    if (this.#failed) throw this.#failed;
  }

  /** Work a second between two moments; see `rateOf`. @throws when the guest found its data wrong */
  rate(fromMs: number, toMs: number): number | null {
    this.check();
    return rateOf(this.lines, fromMs, toMs);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#wake();
    await this.#following;
  }

  async #follow(): Promise<void> {
    const fd = await this.#open();
    if (fd === null) return;
    let watcher: FSWatcher | null = null;
    try {
      watcher = watch(this.file, () => this.#wake());
      while (!this.#closed) {
        const woken = new Promise<void>((resolve) => (this.#wake = resolve));
        if (this.#drain(fd)) continue;
        const timer = setTimeout(this.#wake, idleMs);
        await woken;
        clearTimeout(timer);
      }
    } finally {
      watcher?.close();
      closeSync(fd);
    }
  }

  /** Reads what there is; whether there was anything. */
  #drain(fd: number): boolean {
    const bytesRead = readSync(fd, this.#chunk, 0, this.#chunk.length, null);
    if (bytesRead === 0) return false;
    const atMs = performance.now();
    const { lines, beats } = this.#text.push(this.#chunk.subarray(0, bytesRead));
    for (let seen = 0; seen < beats; seen++) this.beats.push(atMs);
    for (const text of lines) {
      if (text.startsWith('CORRUPT')) throw new Error(`${this.file}: the guest says ${text}`);
      const line = parseLine(this.workload, text);
      if (line !== null) this.lines.push({ ...line, atMs });
    }
    return true;
  }

  async #open(): Promise<number | null> {
    while (!this.#closed) {
      try {
        // Reading must not write: on a file system that is busy with a guest's disk, noting the time of access can wait for it.
        return openSync(this.file, constants.O_RDONLY | constants.O_NOATIME);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
        await sleep(pollMs);
      }
    }
    return null;
  }
}

/**
 * Work a second between two moments; null when fewer than two lines came. Taken from one line that reports new work to
 * another, so that a workload whose units take longer than its lines is not rounded down.
 */
export function rateOf(lines: readonly ConsoleLine[], fromMs: number, toMs: number): number | null {
  const within = lines.filter(
    ({ atMs, work }, index) => atMs >= fromMs && atMs <= toMs && work !== lines[index - 1]?.work,
  );
  const [first, last] = [within[0], within.at(-1)];
  if (first === undefined || last === undefined || last.atMs <= first.atMs) return null;
  return ((last.work - first.work) * 1000) / (last.atMs - first.atMs);
}
