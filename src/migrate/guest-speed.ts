// How fast the guest really ran on the source, whatever slowed it: pages that are copied on write, the pacing, a busy host.
// Taken from the segments alone, which carry the source's own clock.

/** The window that a speed is taken over, ms: short enough to show a stall, long enough for a few of QEMU's slices. */
const windowMs = 100;

interface Point {
  readonly hostMs: number;
  readonly instructions: number;
}

export class GuestSpeed {
  /** Segments' ends, the oldest at or before the window's beginning. */
  #points: Point[] = [];

  /** @param point the instructions executed up to a moment of the source's clock; the moments ascend */
  reached(point: Point): void {
    this.#points.push(point);
    while (this.#points.length > 2 && this.#points[1]!.hostMs <= point.hostMs - windowMs) this.#points.shift();
  }

  /** Instructions a second over the window that ends with the newest segment; 0 before there is a whole one. */
  get perSecond(): number {
    const [first, second, last] = [this.#points[0], this.#points[1], this.#points.at(-1)];
    if (first === undefined || second === undefined || last === undefined) return 0;
    const fromMs = last.hostMs - windowMs;
    if (first.hostMs > fromMs || second.hostMs <= first.hostMs) return 0;
    const share = Math.min(1, (fromMs - first.hostMs) / (second.hostMs - first.hostMs));
    const before = first.instructions + share * (second.instructions - first.instructions);
    return ((last.instructions - before) * 1000) / windowMs;
  }
}
