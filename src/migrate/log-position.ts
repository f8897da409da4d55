// Where in a recording's log a person means: an instruction count, or guest time after the checkpoint.
//
// Time becomes an instruction by the guest's clock at the segments' ends: within a segment the instruction lies as far as
// the time does. A guest that was idle in it sleeps through much of that time in few instructions, so the clock read there
// may be off by up to a segment (100 ms in a recording); but the instruction is a function of the recording alone: the same
// time is the same instruction at every replay.
import { TrmigError } from '../errors.js';
import type { RecordingReader, SegmentHeader } from '../log/index.js';
import { icount, type Icount } from '../units.js';

export type LogPosition = { readonly icount: number } | { readonly guestMs: number };

export interface LocateOptions {
  readonly follow: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The instruction that `position` means. While a recording grows and is followed, it waits until the log reaches that far.
 * @throws TrmigError E_RECORDING_POSITION when the log ends before it; E_RECORDING_*, E_ABORTED
 */
export async function locate(reader: RecordingReader, position: LogPosition, options: LocateOptions): Promise<Icount> {
  const startNs = reader.manifest.virtualNs;
  let last: SegmentHeader | null = null;
  for await (const { header } of reader.headers(options)) {
    const lastNs: number = last?.virtualNs ?? startNs;
    if ('icount' in position) {
      if (header.to >= position.icount) return icount(position.icount);
    } else {
      const wantedNs = startNs + position.guestMs * 1e6;
      if (header.virtualNs >= wantedNs) {
        const share = (wantedNs - lastNs) / Math.max(1, header.virtualNs - lastNs);
        return icount(header.from + Math.round(Math.min(1, Math.max(0, share)) * (header.to - header.from)));
      }
    }
    last = header;
  }
  const wanted = 'icount' in position ? `instruction ${position.icount}` : `${position.guestMs} ms of guest time`;
  const end = last?.to ?? 0;
  const guestMs = ((last?.virtualNs ?? startNs) - startNs) / 1e6;
  throw new TrmigError(
    'E_RECORDING_POSITION',
    `${reader.dir} does not reach ${wanted}: it ends at instruction ${end}, after ${guestMs.toFixed(1)} ms`,
    { facts: { endIcount: end, guestMs } },
  );
}
