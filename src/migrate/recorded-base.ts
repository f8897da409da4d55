// Where a recording's checkpoint lies: the parts without which its log is of no use.
import { TrmigError } from '../errors.js';
import { followPollMs } from '../limits.js';
import type { PartRole, RecordingManifest, RecordingReader } from '../log/index.js';
import { parseForeignSpec, type MachineSpec } from '../machine/index.js';
import { diskPart } from './recording-folder.js';

/** Paths of the parts. */
export interface RecordedBase {
  readonly image: string;
  readonly deviceState: string;
  /** Of the disks, in the spec's order. */
  readonly disks: readonly string[];
}

/**
 * The recording's RAM image, device state and disks. With `follow`, a recording that has only just begun is waited for.
 * @throws TrmigError E_RECORDING_UNREADY when it has none; E_RECORDING_*, E_ABORTED
 */
export async function recordedBase(
  reader: RecordingReader,
  follow: boolean,
  signal: AbortSignal | undefined,
): Promise<RecordedBase> {
  for (;;) {
    const { parts, status } = reader.manifest;
    const named = (role: PartRole): string | undefined => parts.find((part) => part.role === role)?.name;
    const [image, deviceState] = [named('ram-image'), named('device-state')];
    if (image !== undefined && deviceState !== undefined) {
      const disks = diskParts(reader);
      if (disks.every((name) => parts.some((part) => part.role === 'disk-layer' && part.name === name))) {
        return {
          image: await reader.partPath(image),
          deviceState: await reader.partPath(deviceState),
          disks: await Promise.all(disks.map((name) => reader.partPath(name))),
        };
      }
    }
    if (!follow || status === 'complete') {
      throw new TrmigError('E_RECORDING_UNREADY', `${reader.dir} has no complete checkpoint to begin from`, {
        facts: { dir: reader.dir, status },
      });
    }
    if (signal?.aborted === true) throw new TrmigError('E_ABORTED', `waiting for ${reader.dir} was cancelled`);
    await new Promise((resolve) => setTimeout(resolve, followPollMs));
    await reader.refresh();
  }
}

/** Names of the parts that hold the disks which the recorded machine's spec asks for. */
function diskParts({ manifest }: RecordingReader): string[] {
  return recordedSpec(manifest).disks.map((_, i) => diskPart(i));
}

/** The recorded machine's spec, as its manifest says it. @throws TrmigError E_SPEC */
export function recordedSpec({ machine, spec }: RecordingManifest): MachineSpec {
  return parseForeignSpec(spec, `the spec in the recording of '${machine}'`);
}
