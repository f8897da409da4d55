// What the catalog holds, one row type a table. A row read from disk is as foreign as any other bytes: it is parsed by these
// before anyone sees it. Times are host wall-clock milliseconds; they order and label, nothing is computed from them.
import { z } from 'zod';

const count = z.number().int().nonnegative();
const name = z.string().min(1).max(200);
const file = z.string().min(1).max(4096);

/** A machine that this host has run or received. Whether it runs now is asked of the machine, not of the catalog. */
export const machineRow = z.object({
  name,
  /** The spec as JSON. */
  specJson: z.string().max(1024 * 1024),
  /** `unresolved`: a handover ended such that only `trmig resolve` can say. */
  ownership: z.enum(['here', 'away', 'unresolved']),
  /** The host at the other end of the last handover. */
  peer: z.string().nullable(),
  updatedMs: count,
});

export const recordingRow = z.object({
  id: name,
  machine: name,
  /** The recording's folder, absolute. */
  folder: file,
  /** `open` is being written, or its writer died: its folder says which. */
  state: z.enum(['open', 'complete', 'damaged']),
  createdMs: count,
  bytes: count,
  instructions: count,
  virtualNs: count,
  events: count,
});

/** A point inside a recording from which a replay can start. */
export const checkpointRow = z.object({
  recording: name,
  icount: count,
  /** Its folder, relative to the recording's. */
  folder: file,
  bytes: count,
  createdMs: count,
});

/** A run of segments in one log file: the ranges, not the segments, so that the catalog stays small. */
export const segmentRangeRow = z.object({
  recording: name,
  seqFirst: count,
  seqLast: count,
  /** Instructions [from, to). */
  icountFrom: count,
  icountTo: count,
  /** The log file, relative to the recording's folder. */
  file,
  bytes: count,
});

export const migrationRow = z.object({
  id: name,
  machine: name,
  direction: z.enum(['out', 'in']),
  peer: z.string(),
  strategy: z.enum(['trace', 'precopy', 'postcopy', 'hybrid']),
  startedMs: count,
  endedMs: count.nullable(),
  /** null while it goes on. */
  outcome: z.enum(['completed', 'aborted', 'failed', 'unresolved']).nullable(),
  downtimeNs: count.nullable(),
  errorCode: z.string().nullable(),
  reportFile: file.nullable(),
});

export type MachineRow = z.infer<typeof machineRow>;
export type RecordingRow = z.infer<typeof recordingRow>;
export type CheckpointRow = z.infer<typeof checkpointRow>;
export type SegmentRangeRow = z.infer<typeof segmentRangeRow>;
export type MigrationRow = z.infer<typeof migrationRow>;

/** A recording with its parts, as a scan of its folder yields it. */
export interface RecordingEntry {
  readonly recording: RecordingRow;
  readonly checkpoints: readonly Omit<CheckpointRow, 'recording'>[];
  readonly segments: readonly Omit<SegmentRangeRow, 'recording'>[];
}
