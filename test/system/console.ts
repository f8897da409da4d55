// What a guest said on its serial console, over all the hosts that it ran on.
// A guest that moves may be between any two bytes of a line, so the logs are joined before they are cut into lines.
import { existsSync, readFileSync } from 'node:fs';
import type { Home } from '../../src/machine/index.js';

const numbered = /^(?:count|tick) (\d+)(?: .*)?$/;
/** What a disk workload says when it is asked, and the lines of the `echo` beside it, which have numbers of their own. */
const beside = /^(?:verify: ok \d+ records .*|quit: \d+ records .*|net \d+ .*)$/;

/** The numbers of the complete lines in a console's text. */
export function counters(text: string): number[] {
  const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
  return lines.flatMap((line) => {
    const found = numbered.exec(line.trimEnd());
    return found === null ? [] : [Number(found[1])];
  });
}

export function consoleText(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}

/** Waits until the console has `count` more numbered lines than now (a new console: `count` in all). */
export async function waitForLines(file: string, count: number): Promise<void> {
  const wanted = counters(consoleText(file)).length + count;
  while (counters(consoleText(file)).length < wanted) {
    if (consoleText(file).includes('CORRUPT')) throw new Error(`the guest found its data wrong: ${file}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** What is wrong with a guest's whole output; null when its numbers follow each other and all its lines are whole. */
export function discontinuity(text: string): string | null {
  if (text.includes('CORRUPT')) return `the guest found its data wrong: ${/CORRUPT.*/.exec(text)![0]}`;
  const lines = text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .map((line) => line.trimEnd());
  const first = lines.findIndex((line) => numbered.test(line));
  if (first < 0) return 'there is no numbered line';
  let last: number | null = null;
  for (const line of lines.slice(first, -1)) {
    if (beside.test(line)) continue;
    const found = numbered.exec(line);
    if (found === null) return `after ${last}: '${line}' is no whole line`;
    const number = Number(found[1]);
    if (last !== null && number !== last + 1) return `${number} follows ${last}`;
    last = number;
  }
  return null;
}

/** A guest's output from host to host: call `arrived` with each home, in the order in which it ran there. */
export class Transcript {
  /** What it said before it came where it is: a host may forget a machine that has left. */
  #before = '';
  #stay: { readonly file: string; readonly from: number } | null = null;

  constructor(readonly name = 'm') {}

  /** The guest has ended elsewhere, or it never ran before; it runs on `home` from here on, or will. */
  arrives(home: Home, fromBytes?: number): void {
    this.#before = this.text;
    this.#stay = { file: home.machine(this.name).consoleLog, from: fromBytes ?? 0 };
  }

  get text(): string {
    if (this.#stay === null || !existsSync(this.#stay.file)) return this.#before;
    const { file, from } = this.#stay;
    return this.#before + readFileSync(file).subarray(from).toString();
  }
}
