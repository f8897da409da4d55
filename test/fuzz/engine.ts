// libFuzzer for targets in JavaScript. The modules under test are instrumented as they are loaded (by the loader of Jazzer.js,
// whose own engine is a binary for newer systems than Debian 12); what they report goes to native/fuzz/engine.cc.
import { createRequire, register } from 'node:module';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Target } from './target.js';

interface Engine {
  run(argv: readonly string[], target: (bytes: Buffer) => void, patienceMs: number, ended: () => void): void;
  answer(passed: boolean): void;
  counters(count: number): Buffer;
  compared(left: number | string, right: number | string): void;
}

/** How much of the processor's time one input may take. */
export const patienceMs = 10_000;

const engine = createRequire(import.meta.url)(resolve('native/fuzz/build/engine.node')) as Engine;

/** Tells libFuzzer about a comparison that did not hold, so that it can try to make it hold. */
function note(left: unknown, right: unknown): void {
  if (left === right) return;
  if (typeof left === 'string' && typeof right === 'string') engine.compared(left, right);
  else if (Number.isSafeInteger(left) && Number.isSafeInteger(right)) engine.compared(left as number, right as number);
}

/** Compares what a module compared; `==` and `!=` are not used in this project. */
function compare(left: unknown, right: unknown, operator: string): boolean {
  note(left, right);
  if (operator === '===') return left === right;
  if (operator === '!==') return left !== right;
  const [a, b] = [left as number, right as number];
  if (operator === '<') return a < b;
  if (operator === '<=') return a <= b;
  if (operator === '>') return a > b;
  if (operator === '>=') return a >= b;
  throw new Error(`an instrumented module compared with ${operator}`);
}

/** The names that instrumented modules call. */
const reported = {
  Fuzzer: {
    coverageTracker: { createModuleCounters: (count: number): Buffer => engine.counters(count) },
    tracer: {
      traceStrCmp: compare,
      traceNumberCmp: compare,
      traceAndReturn: (current: unknown, wanted: unknown): unknown => {
        note(current, wanted);
        return wanted;
      },
    },
  },
  __jazzer_registerSourceMap: (): void => undefined,
};

/** From here on modules of this project are instrumented as they are imported. */
export function instrument(): void {
  Object.assign(globalThis, reported);
  const loader = createRequire(import.meta.url).resolve('@jazzer.js/instrumentor/dist/esm-loader.mjs');
  register(pathToFileURL(loader), {
    parentURL: import.meta.url,
    data: { includes: [resolve('build/src')], excludes: ['node_modules'], coverage: false, seed: 1 },
  });
}

/** Runs libFuzzer; the process ends with its exit code at the first finding. Resolves when it has found none. */
export function fuzz(argv: readonly string[], { run }: Target): Promise<void> {
  const one = async (bytes: Buffer): Promise<void> => {
    try {
      const running = run(bytes);
      if (running !== undefined) await running;
      engine.answer(true);
    } catch (thrown) {
      process.stderr.write(`fuzz: ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}\n`);
      engine.answer(false);
    }
  };
  return new Promise((ended) => engine.run(argv, (bytes) => void one(bytes), patienceMs, ended));
}
