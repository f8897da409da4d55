// The catalog of one host, in one SQLite file. Its calls are synchronous inside and short (an index of thousands of rows);
// the interface is asynchronous for the stores that are not.
//
// Invariant: the file is opened by the first call, not before: a command that needs no catalog must not fail for its sake.
import type { Catalog, CatalogContent } from './catalog.js';
import { catalogError, openDatabase, type Database } from './database.js';
import {
  checkpointRow,
  machineRow,
  migrationRow,
  recordingRow,
  segmentRangeRow,
  type CheckpointRow,
  type MachineRow,
  type MigrationRow,
  type RecordingEntry,
  type RecordingRow,
  type SegmentRangeRow,
} from './rows.js';
import { Table } from './table.js';

interface Opened {
  readonly database: Database;
  readonly machines: Table<MachineRow>;
  readonly recordings: Table<RecordingRow>;
  readonly checkpoints: Table<CheckpointRow>;
  readonly segmentRanges: Table<SegmentRangeRow>;
  readonly migrations: Table<MigrationRow>;
}

export class SqliteCatalog implements Catalog {
  private opened: Opened | null = null;

  constructor(readonly file: string) {}

  putMachine(machine: MachineRow): Promise<void> {
    return this.run((to) => to.machines.put(machine));
  }

  machine(name: string): Promise<MachineRow | null> {
    return this.run((from) => from.machines.first('WHERE name = ?', name));
  }

  machines(): Promise<MachineRow[]> {
    return this.run((from) => from.machines.select('ORDER BY name'));
  }

  removeMachine(name: string): Promise<boolean> {
    return this.run((from) => from.machines.delete('WHERE name = ?', name) > 0);
  }

  putRecording(entry: RecordingEntry): Promise<void> {
    return this.transact((to) => putEntry(to, entry));
  }

  updateRecording(recording: RecordingRow): Promise<void> {
    return this.run((to) => to.recordings.put(recording));
  }

  recording(id: string): Promise<RecordingRow | null> {
    return this.run((from) => from.recordings.first('WHERE id = ?', id));
  }

  recordings(filter: { machine?: string } = {}): Promise<RecordingRow[]> {
    const { machine = null } = filter;
    const clause = 'WHERE coalesce(machine = ?, TRUE) ORDER BY createdMs DESC, id';
    return this.run((from) => from.recordings.select(clause, machine));
  }

  removeRecording(id: string): Promise<boolean> {
    return this.run((from) => from.recordings.delete('WHERE id = ?', id) > 0);
  }

  putCheckpoint(checkpoint: CheckpointRow): Promise<void> {
    return this.run((to) => to.checkpoints.put(checkpoint));
  }

  checkpoints(recording: string): Promise<CheckpointRow[]> {
    return this.run((from) => from.checkpoints.select('WHERE recording = ? ORDER BY icount', recording));
  }

  checkpointBefore(recording: string, icount: number): Promise<CheckpointRow | null> {
    const clause = 'WHERE recording = ? AND icount <= ? ORDER BY icount DESC';
    return this.run((from) => from.checkpoints.first(clause, recording, icount));
  }

  putSegmentRange(range: SegmentRangeRow): Promise<void> {
    return this.run((to) => to.segmentRanges.put(range));
  }

  segmentRanges(recording: string): Promise<SegmentRangeRow[]> {
    return this.run((from) => from.segmentRanges.select('WHERE recording = ? ORDER BY seqFirst', recording));
  }

  segmentRangeAt(recording: string, icount: number): Promise<SegmentRangeRow | null> {
    const clause = 'WHERE recording = ? AND icountFrom <= ? AND icountTo > ? ORDER BY icountFrom DESC';
    return this.run((from) => from.segmentRanges.first(clause, recording, icount, icount));
  }

  putMigration(migration: MigrationRow): Promise<void> {
    return this.run((to) => to.migrations.put(migration));
  }

  migration(id: string): Promise<MigrationRow | null> {
    return this.run((from) => from.migrations.first('WHERE id = ?', id));
  }

  migrations(filter: { machine?: string; limit?: number } = {}): Promise<MigrationRow[]> {
    const { machine = null, limit = -1 } = filter;
    const clause = 'WHERE coalesce(machine = ?, TRUE) ORDER BY startedMs DESC, id LIMIT ?';
    return this.run((from) => from.migrations.select(clause, machine, limit));
  }

  removeMigration(id: string): Promise<boolean> {
    return this.run((from) => from.migrations.delete('WHERE id = ?', id) > 0);
  }

  replaceAll(content: CatalogContent): Promise<void> {
    return this.transact((to) => {
      // Recordings take their parts along.
      for (const table of [to.machines, to.recordings, to.migrations]) table.delete('');
      for (const machine of content.machines) to.machines.put(machine);
      for (const entry of content.recordings) putEntry(to, entry);
      for (const migration of content.migrations) to.migrations.put(migration);
    });
  }

  /** SQLite's own check of the whole file; an empty list is a sound one. */
  check(): Promise<string[]> {
    return this.run(({ database }) => {
      const lines = database.pragma('quick_check(20)') as { quick_check: string }[];
      return lines.map((line) => line.quick_check).filter((line) => line !== 'ok');
    });
  }

  close(): void {
    this.opened?.database.close();
    this.opened = null;
  }

  private transact(work: (opened: Opened) => void): Promise<void> {
    return this.run((opened) => opened.database.transaction(() => work(opened)).immediate());
  }

  private run<T>(work: (opened: Opened) => T): Promise<T> {
    try {
      this.opened ??= open(this.file);
      return Promise.resolve(work(this.opened));
    } catch (cause) {
      return Promise.reject(catalogError(this.file, cause));
    }
  }
}

function open(file: string): Opened {
  const database = openDatabase(file);
  return {
    database,
    machines: new Table(database, 'machines', machineRow, ['name']),
    recordings: new Table(database, 'recordings', recordingRow, ['id']),
    checkpoints: new Table(database, 'checkpoints', checkpointRow, ['recording', 'icount']),
    segmentRanges: new Table(database, 'segmentRanges', segmentRangeRow, ['recording', 'seqFirst']),
    migrations: new Table(database, 'migrations', migrationRow, ['id']),
  };
}

function putEntry(to: Opened, { recording, checkpoints, segments }: RecordingEntry): void {
  to.recordings.delete('WHERE id = ?', recording.id);
  to.recordings.put(recording);
  for (const checkpoint of checkpoints) to.checkpoints.put({ ...checkpoint, recording: recording.id });
  for (const range of segments) to.segmentRanges.put({ ...range, recording: recording.id });
}
