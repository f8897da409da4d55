// One line at the bottom of a terminal that is written over as things go on; where there is no terminal, nothing.
// Invariants: a message printed meanwhile does not collide with it (`above`); it is never wider than the terminal; after
// `end` it is gone.

const redrawMs = 80;

export class StatusLine {
  readonly #stream: NodeJS.WriteStream;
  readonly #active: boolean;
  #shown = '';
  #drawnMs = -Infinity;

  /** @param stream where it is drawn: stderr, so that stdout stays for the result */
  constructor(stream: NodeJS.WriteStream, wanted = true) {
    this.#stream = stream;
    this.#active = wanted && stream.isTTY && process.env['TERM'] !== 'dumb';
  }

  /** Shows `text()`; most calls cost nothing, since it is redrawn at most twelve times a second. */
  show(text: () => string): void {
    if (!this.#active) return;
    const nowMs = performance.now();
    if (nowMs - this.#drawnMs < redrawMs) return;
    this.#drawnMs = nowMs;
    const line = text().slice(0, Math.max(20, (this.#stream.columns || 80) - 1));
    if (line === this.#shown) return;
    this.#shown = line;
    this.#stream.write(`\r\u001b[2K${line}`);
  }

  /** Runs `print` with the line out of the way. */
  above(print: () => void): void {
    this.#clear();
    print();
  }

  end(): void {
    this.#clear();
  }

  #clear(): void {
    if (this.#shown === '') return;
    this.#shown = '';
    this.#drawnMs = -Infinity;
    this.#stream.write('\r\u001b[2K');
  }
}

const blocks = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** A bar of `width` cells for a share from 0 to 1. */
export function bar(share: number, width: number): string {
  const eighths = Math.round(Math.min(1, Math.max(0, share)) * width * 8);
  const full = Math.floor(eighths / 8);
  return `${'█'.repeat(full)}${blocks[eighths % 8]!}`.padEnd(width, '░');
}
