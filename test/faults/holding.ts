// The child's end of a test that holds it: says each phase that it comes to, and stands still in those that it is told to, with
// nothing done in them yet, until it is told to go on. It stands still as a suspended process does: nothing else of it runs.
import { readSync, writeSync } from 'node:fs';

/** Where words come from: standard input is for ending. */
const wordsFd = 3;

export function say(message: object): void {
  writeSync(1, `${JSON.stringify(message)}\n`);
}

/** The phases to hold in, each once, in the order of the words `AT,AT`; `onWord` gets what is said beside `go`. */
export function holdAt(phases: string, onWord: (word: string) => void): (at: string) => void {
  const waiting = phases.split(',').filter((at) => at !== '');
  return (at) => {
    say({ phase: at });
    const index = waiting.indexOf(at);
    if (index < 0) return;
    waiting.splice(index, 1);
    say({ held: at });
    const word = readWord();
    if (word !== 'go') onWord(word);
  };
}

function readWord(): string {
  const byte = Buffer.alloc(1);
  for (let word = ''; ;) {
    try {
      if (readSync(wordsFd, byte) === 0) return 'go';
      if (byte[0] === 0x0a) return word;
      word += byte.toString('latin1');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}

/** As Ctrl-C does: the first cancels, the second ends the process. */
export function interrupts(cancel: AbortController): (word: string) => void {
  return (word) => {
    cancel.abort();
    if (word === 'cancel-twice') process.exit(130);
  };
}
