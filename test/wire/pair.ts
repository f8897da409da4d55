// Two streams, each of which reads what the other writes; a write completes when the other side takes it.
import { Duplex } from 'node:stream';

class End extends Duplex {
  other: End | null = null;
  #taken: (() => void) | null = null;

  override _read(): void {
    const taken = this.#taken;
    this.#taken = null;
    taken?.();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    const { other } = this;
    setImmediate(() => {
      if (other === null || other.destroyed) return;
      other.#taken = done;
      other.push(chunk);
    });
  }

  override _final(done: () => void): void {
    setImmediate(() => {
      this.other?.push(null);
      done();
    });
  }
}

export function duplexPair(): [Duplex, Duplex] {
  const [near, far] = [new End(), new End()];
  near.other = far;
  far.other = near;
  return [near, far];
}
