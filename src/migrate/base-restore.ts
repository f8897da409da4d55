// The destination's base image: chunks from the link into the RAM of a QEMU started with -S.
// Invariant: at most `captureConcurrency` chunks are being written; the reader of the link waits for that, which is the
// base's backpressure.

import { TrmigError } from '../errors.js';
import { clearTarget, restoreChunk, type ImageProcess } from '../checkpoint/index.js';
import { captureConcurrency } from '../limits.js';
import type { ImageChunkFrame } from '../wire/index.js';

export class BaseRestore {
  readonly #cleared: Promise<unknown>;
  #underway: Promise<void>[] = [];
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
    if (this.#underway.length >= captureConcurrency) await this.#underway.shift();
    const { kind: _kind, ...chunk } = frame;
    const written = restoreChunk(this.target, chunk);
    written.catch(() => undefined); // Reported when its turn comes.
    this.#underway.push(written);
    this.#chunks++;
    this.restoredBytes += chunk.rawBytes;
  }

  /** All of it has come: waits until it is written. @throws TrmigError E_IMAGE_*, E_WIRE_GARBAGE when chunks are missing */
  async end(chunks: number): Promise<void> {
    await this.#cleared;
    while (this.#underway.length > 0) await this.#underway.shift();
    if (chunks === this.#chunks) return;
    throw new TrmigError('E_WIRE_GARBAGE', `the base image ended after ${this.#chunks} of ${chunks} chunks`);
  }

  /** Waits until nothing is written any more, however it went. */
  async settled(): Promise<void> {
    await Promise.allSettled([this.#cleared, ...this.#underway]);
  }
}
