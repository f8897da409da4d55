// Frames that have come and that nobody has taken yet.
// Invariants: in the order in which they came; what came before the end is taken before it is told; one taker at a time.

import { TrmigError } from '../errors.js';
import { wireInboxBytesMax } from '../limits.js';
import type { Frame } from './frames.js';
import type { ParsedFrame } from './parser.js';

interface Taker {
  readonly take: (frame: Frame | null) => void;
  readonly failed: (error: TrmigError) => void;
}

export class Inbox {
  readonly #frames: ParsedFrame[] = [];
  #bytes = 0;
  #taker: Taker | null = null;
  #ended: { readonly error: TrmigError | null } | null = null;

  /** Whether nothing more should be read before something was taken. */
  get isFull(): boolean {
    return this.#bytes >= wireInboxBytesMax;
  }

  put(parsed: ParsedFrame): void {
    if (this.#taker !== null) {
      const { take } = this.#taker;
      this.#taker = null;
      take(parsed.frame);
      return;
    }
    this.#frames.push(parsed);
    this.#bytes += parsed.bytes;
  }

  /** The next frame, or null at an end in order. @throws TrmigError what it ended with */
  take(): Promise<Frame | null> {
    const next = this.#frames.shift();
    if (next !== undefined) {
      this.#bytes -= next.bytes;
      return Promise.resolve(next.frame);
    }
    if (this.#ended !== null) {
      return this.#ended.error === null ? Promise.resolve(null) : Promise.reject(this.#ended.error);
    }
    if (this.#taker !== null) throw new TrmigError('E_INTERNAL', 'a link was read by two readers at once');
    return new Promise((take, failed) => (this.#taker = { take, failed }));
  }

  /** Nothing more comes; null: all that was to come has. */
  end(error: TrmigError | null): void {
    this.#ended = { error };
    const taker = this.#taker;
    this.#taker = null;
    if (error === null) taker?.take(null);
    else taker?.failed(error);
  }
}
