// What one migration gave, whichever tool did it, in the same terms.

export interface Outcome {
  /** Whether the guest arrived within the time it was given. */
  readonly converged: boolean;
  /** How long the guest did not run, as the tool reports it, ms; null when it never arrived. */
  readonly downtimeMs: number | null;
  /** From the command to the guest running at the destination (or to giving up), ms. */
  readonly totalMs: number;
  /** All bytes on the link meanwhile, both ways: the interfaces' own counters, for both tools. Packets are counted as the kernel hands them down, so what is sent in bulk shows few headers. */
  readonly bytes: number;
  /**
   * What the guest's running on cost: the bytes that are not the first full copy of its memory.
   * QEMU: `ram.transferred` at the end minus what it was when the first pass over RAM had ended (the event MIGRATION_PASS
   * with pass 2; between the two polls around it, 10 ms apart, the bytes are taken to have grown evenly). trmig: all bytes
   * but the base image's, so also the device state, the frames' headers, and the log sent while the base was being sent.
   */
  readonly bytesAfterBase: number;
  /**
   * The share of its speed that the guest lost while it was being moved: 1 - (work a second meanwhile) / (before). Null for
   * a guest that does no work, and when the move was too short to tell.
   */
  readonly slowdown: number | null;
}

/** How long a tool is given to converge. */
export const patienceMs = 20_000;
/** How long the guest runs before it is moved; its speed is measured in the second half. */
export const warmUpMs = 3_000;
