// QMP and the tracer both speak lines of JSON. The bytes are foreign until parsed: a peer that never sends a newline must
// not make this process grow.
//
// Invariant: buffered bytes <= the limit given at construction. Lines leave in order, without their terminator.

/** A line was longer than allowed. */
export class LineTooLong extends Error {
  constructor(readonly bytesMax: number) {
    super(`a line is longer than ${bytesMax} bytes`);
    this.name = 'LineTooLong';
  }
}

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** Cuts a byte stream into lines. Empty lines are skipped (QMP ends its lines with CR LF). */
export class LineReader {
  private readonly parts: Buffer[] = [];
  private partsBytes = 0;

  /** @param bytesMax the longest line, without its terminator */
  constructor(private readonly bytesMax: number) {}

  /**
   * Takes bytes and returns the lines they complete.
   * @throws LineTooLong; the reader must not be used after that.
   */
  push(chunk: Buffer): Buffer[] {
    const lines: Buffer[] = [];
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(NEWLINE, start);
      if (end < 0) break;
      const line = this.take(chunk.subarray(start, end));
      if (line.length > 0) lines.push(line);
      start = end + 1;
    }
    this.keep(chunk.subarray(start));
    return lines;
  }

  /** Bytes of the unfinished line. */
  get pendingBytes(): number {
    return this.partsBytes;
  }

  private take(last: Buffer): Buffer {
    this.keep(last);
    const line = this.parts.length === 1 ? this.parts[0]! : Buffer.concat(this.parts, this.partsBytes);
    this.parts.length = 0;
    this.partsBytes = 0;
    return line.at(-1) === CARRIAGE_RETURN ? line.subarray(0, -1) : line;
  }

  private keep(part: Buffer): void {
    this.partsBytes += part.length;
    if (this.partsBytes > this.bytesMax) throw new LineTooLong(this.bytesMax);
    // An empty part is kept only so that `take` always has one.
    if (part.length > 0 || this.parts.length === 0) this.parts.push(part);
  }
}
