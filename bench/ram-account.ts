// What QEMU had sent when its first pass over RAM ended. Its counter is only seen now and then, and not at all while it holds
// its big lock near the end; the pass's end is an event. Between the two polls around it the bytes grew evenly, as the link
// is what bounds them.
export class RamAccount {
  readonly #polls: { readonly atMs: number; readonly bytes: number }[];
  #passEndedMs: number | null = null;

  constructor(beganMs: number) {
    this.#polls = [{ atMs: beganMs, bytes: 0 }];
  }

  poll(atMs: number, bytes: number): void {
    this.#polls.push({ atMs, bytes });
  }

  firstPassEnded(atMs: number): void {
    this.#passEndedMs ??= atMs;
  }

  /** Bytes sent after the first pass; 0 when it never ended. */
  afterFirstPass(): number {
    const ended = this.#passEndedMs;
    const next = ended === null ? -1 : this.#polls.findIndex(({ atMs }) => atMs >= ended);
    if (ended === null || next < 1) return 0;
    const [before, after] = [this.#polls[next - 1]!, this.#polls[next]!];
    const share = after.atMs > before.atMs ? (ended - before.atMs) / (after.atMs - before.atMs) : 1;
    return Math.round(this.#polls.at(-1)!.bytes - (before.bytes + share * (after.bytes - before.bytes)));
  }
}
