// The destination's base image: chunks from the link into the RAM of a QEMU started with -S.

import { TrmigError } from '../errors.js';
import { InFlight, clearTarget, restoreChunk, type ImageProcess } from '../checkpoint/index.js';
import type { ImageChunkFrame } from '../wire/index.js';

export class BaseRestore {
  readonly #cleared: Promise<unknown>;
  readonly #writing = new InFlight();
  #chunks = 0;
  /** Guest memory written so far. */
  restoredBytes = 0;

  constructor(
    private readonly target: ImageProcess,
    signal: AbortSignal,
  ) {
    this.#cleared = clearTarget(target, { signal });
    this.#cleared.catch(() => undefined); // Reported by whoever needs it done.
  }

  /** @throws TrmigError E_IMAGE_* */
  async take(frame: ImageChunkFrame): Promise<void> {
    await this.#cleared;
    const { kind: _kind, ...chunk } = frame;
    await this.#writing.add(() => restoreChunk(this.target, chunk));
    this.#chunks++;
    this.restoredBytes += chunk.rawBytes;
  }

  /** All of it has come: waits until it is written. @throws TrmigError E_IMAGE_*, E_WIRE_GARBAGE when chunks are missing */
  async end(chunks: number): Promise<void> {
    await this.#cleared;
    await this.#writing.done();
    if (chunks === this.#chunks) return;
    throw new TrmigError('E_WIRE_GARBAGE', `the base image ended after ${this.#chunks} of ${chunks} chunks`);
  }

  /** Waits until nothing is written any more, however it went. */
  async settled(): Promise<void> {
    await Promise.allSettled([this.#cleared, this.#writing.settled()]);
  }
}
