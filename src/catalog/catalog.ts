// What a host, or many, know: one interface, whatever keeps it (SQLite here; another store where many hosts share one).
// The catalog is an index. What is on disk is the truth, and `rebuildCatalog` makes the index from it.
import type { CheckpointRow, MachineRow, MigrationRow, RecordingEntry, RecordingRow, SegmentRangeRow } from './rows.js';

/**
 * All methods may throw E_CATALOG, E_CATALOG_BUSY, E_CATALOG_CORRUPT and E_CATALOG_NEWER. `put` replaces the row of the same
 * key; `remove` of what is not there returns false.
 */
export interface Catalog {
  putMachine(machine: MachineRow): Promise<void>;
  machine(name: string): Promise<MachineRow | null>;
  /** By name. */
  machines(): Promise<MachineRow[]>;
  removeMachine(name: string): Promise<boolean>;

  /** Replaces a recording with all its parts, at once. */
  putRecording(entry: RecordingEntry): Promise<void>;
  /** Replaces a recording's own row and keeps its parts. */
  updateRecording(recording: RecordingRow): Promise<void>;
  recording(id: string): Promise<RecordingRow | null>;
  /** Newest first. */
  recordings(filter?: { machine?: string }): Promise<RecordingRow[]>;
  /** Removes a recording and its parts from the catalog; its folder stays. */
  removeRecording(id: string): Promise<boolean>;

  putCheckpoint(checkpoint: CheckpointRow): Promise<void>;
  /** By instruction count. */
  checkpoints(recording: string): Promise<CheckpointRow[]>;
  /** The last checkpoint at or before `icount`: where a seek starts. */
  checkpointBefore(recording: string, icount: number): Promise<CheckpointRow | null>;

  putSegmentRange(range: SegmentRangeRow): Promise<void>;
  /** By sequence number. */
  segmentRanges(recording: string): Promise<SegmentRangeRow[]>;
  /** The range that holds the instruction at `icount`. */
  segmentRangeAt(recording: string, icount: number): Promise<SegmentRangeRow | null>;

  putMigration(migration: MigrationRow): Promise<void>;
  migration(id: string): Promise<MigrationRow | null>;
  /** Newest first. */
  migrations(filter?: { machine?: string; limit?: number }): Promise<MigrationRow[]>;
  removeMigration(id: string): Promise<boolean>;

  /** Replaces everything, at once. */
  replaceAll(content: CatalogContent): Promise<void>;

  close(): void;
}

export interface CatalogContent {
  readonly machines: readonly MachineRow[];
  readonly recordings: readonly RecordingEntry[];
  readonly migrations: readonly MigrationRow[];
}
