// A recording that goes on from host to host consists of legs: what one host has recorded, up to a final segment. When its
// machine is given up at a leg's end, that is a move of ownership, and needs a name that no other move of the machine has.
import type { RecordingReader } from '../log/index.js';

/** The name of the leg that begins with segment `from`; the recording's own for the first. At most 53 characters. */
export function legId(uuid: string, from: number): string {
  return from === 0 ? uuid : `${uuid}+${from}`;
}

/**
 * The first segment of the last leg.
 * @throws TrmigError E_RECORDING_*, E_FILE_ACCESS, E_ABORTED
 */
export async function lastLeg(reader: RecordingReader, signal?: AbortSignal): Promise<number> {
  let [from, final] = [0, false];
  for await (const { header } of reader.headers({ signal })) {
    if (final) from = header.seq;
    final = header.final;
  }
  return from;
}
