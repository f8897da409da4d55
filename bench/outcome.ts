// What one migration gave, whichever tool did it, in the same terms.
import { z } from 'zod';

const ms = z.number().nullable();

export const outcomeSchema = z.object({
  /** Whether the guest arrived within the time it was given. */
  converged: z.boolean(),
  /**
   * How long the guest was away as somebody outside saw it, ms: by its beats on the serial console (beats.ts), of `echo` by the
   * longest round trip of a TCP client. Null when it never arrived.
   */
  downtimeMs: ms,
  /** The same by the tool's own account. */
  toolDowntimeMs: ms,
  /** By the beats also where a client decides. */
  beatDowntimeMs: ms,
  /** The longest silence that a UDP client of `echo` met. */
  udpSilenceMs: ms,
  /** The longest gap between beats at any time of the move, and in the second after it. */
  stallMs: ms,
  /** From the command to the guest running at the destination and the source being done (or to giving up), ms. */
  totalMs: z.number(),
  /**
   * All bytes on the link meanwhile, both ways: the interfaces' own counters, for all tools. Packets are counted as the
   * kernel hands them down, so what is sent in bulk shows few headers. What `echo` answers its clients is among them: 30 KB/s.
   */
  bytes: z.number(),
  /**
   * What the guest's running on cost: the bytes that are not the first full copy of its memory and disk.
   * QEMU: `ram.transferred` at the end minus what it was when the first pass over RAM had ended (the event MIGRATION_PASS
   * with pass 2; between the two polls around it, 10 ms apart, the bytes are taken to have grown evenly), and what the mirror
   * of the disk copied after it had been ready. trmig: all bytes but the base image's and the disk's, so also the device state,
   * the frames' headers, and the log sent while the base was being sent.
   */
  bytesAfterBase: z.number(),
  /**
   * The share of its speed that the guest lost while it was being moved: 1 - (work a second meanwhile, on either host) /
   * (before). Null for a guest that does no work of its own, and when the move was too short to tell.
   */
  slowdown: ms,
});
export type Outcome = z.infer<typeof outcomeSchema>;

/** How long a tool is given to converge. */
export const patienceMs = 20_000;
/** How long the guest runs before it is moved; its speed is measured in the second half. */
export const warmUpMs = 3_000;
