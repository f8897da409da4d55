// What the catalog says of a machine, a recording, a migration: each derived from what is on disk, so that noting one thing
// after a command and rebuilding the whole index are the same.
// Invariant: the catalog is an index. Nobody asks it whether a machine runs or who owns it, and a note that cannot be made
// harms nothing.
import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import {
  SqliteCatalog,
  rebuildCatalog,
  type MachineRow,
  type MigrationRow,
  type RebuildReport,
  type RecordingEntry,
  type Scan,
} from '../catalog/index.js';
import { asTrmigError } from '../errors.js';
import { RecordingReader, type StoredSegment } from '../log/index.js';
import type { Home } from '../machine/index.js';
import { readJournal } from './journal.js';
import { currentOwner, isSettled } from './ownership.js';

/** @throws TrmigError E_JOURNAL_DAMAGED, or what reading the spec throws */
async function machineEntry(home: Home, name: string): Promise<MachineRow> {
  const paths = home.machine(name);
  const specJson = await readFile(paths.spec, 'utf8');
  const { records } = await readJournal(paths.ownership);
  const owner = currentOwner(records) === 'here' ? 'here' : 'away';
  const ownership = isSettled(records) ? owner : 'unresolved';
  return { name, specJson, ownership, peer: records.at(-1)?.peer ?? null, updatedMs: Date.now() };
}

/** @throws TrmigError E_RECORDING_* */
async function recordingEntry(dir: string): Promise<RecordingEntry> {
  const folder = path.resolve(dir);
  const reader = await RecordingReader.open(folder);
  const { uuid, machine, createdMs, parts, status, virtualNs: startNs } = reader.manifest;
  const files = new Map<string, { first: StoredSegment; last: StoredSegment; bytes: number }>();
  let [events, bytes] = [0, 0];
  let last: StoredSegment | null = null;
  for await (const stored of reader.headers()) {
    const { first = stored, bytes: before = 0 } = files.get(stored.file) ?? {};
    files.set(stored.file, { first, last: stored, bytes: before + stored.storedBytes });
    events += stored.header.events;
    bytes += stored.storedBytes;
    last = stored;
  }
  const baseBytes = parts.reduce((sum, part) => sum + part.bytes, 0);
  const based = parts.some((part) => part.role === 'ram-image');
  return {
    recording: {
      id: uuid,
      machine,
      folder,
      state: status === 'complete' ? 'complete' : 'open',
      createdMs,
      bytes: baseBytes + bytes,
      instructions: last?.header.to ?? 0,
      virtualNs: Math.max(0, (last?.header.virtualNs ?? startNs) - startNs),
      events,
    },
    // The base is the checkpoint at instruction 0; it lies in the recording's own folder.
    checkpoints: based ? [{ icount: 0, folder: '.', bytes: baseBytes, createdMs }] : [],
    segments: [...files].map(([file, range]) => ({
      seqFirst: range.first.header.seq,
      seqLast: range.last.header.seq,
      icountFrom: range.first.header.from,
      icountTo: range.last.header.to,
      file: path.relative(folder, file),
      bytes: range.bytes,
    })),
  };
}

/** What is read of a report.json. */
const reportSchema = z.object({
  migrationId: z.string(),
  machine: z.string(),
  outcome: z.enum(['completed', 'aborted', 'failed']),
  owner: z.enum(['source', 'destination', 'unresolved']),
  startedAt: z.iso.datetime(),
  totalMs: z.number().nonnegative(),
  downtimeMs: z.number().nonnegative().nullable(),
  host: z.object({ destination: z.string() }),
  error: z.object({ code: z.string() }).nullable(),
});

/** @throws when the file is not a report */
async function migrationEntry(reportFile: string): Promise<MigrationRow> {
  const report = reportSchema.parse(JSON.parse(await readFile(reportFile, 'utf8')));
  const startedMs = Date.parse(report.startedAt);
  return {
    id: report.migrationId,
    machine: report.machine,
    direction: 'out',
    peer: report.host.destination,
    strategy: 'trace',
    startedMs,
    endedMs: Math.round(startedMs + report.totalMs),
    outcome: report.owner === 'unresolved' ? 'unresolved' : report.outcome,
    downtimeNs: report.downtimeMs === null ? null : Math.round(report.downtimeMs * 1e6),
    errorCode: report.error?.code ?? null,
    reportFile: path.resolve(reportFile),
  };
}

/** What a command has just made or changed. */
export interface Notes {
  readonly machine?: string;
  /** A machine that was removed. */
  readonly forgotten?: string;
  /** A recording's folder. */
  readonly recording?: string;
  /** A report.json. */
  readonly report?: string;
}

/** Notes them in the home's catalog. @throws TrmigError E_CATALOG*, and whatever reading them throws */
export async function note(home: Home, notes: Notes): Promise<void> {
  await home.make(home.root);
  const catalog = new SqliteCatalog(home.catalog);
  try {
    if (notes.machine !== undefined) await catalog.putMachine(await machineEntry(home, notes.machine));
    if (notes.forgotten !== undefined) await catalog.removeMachine(notes.forgotten);
    if (notes.recording !== undefined) await catalog.putRecording(await recordingEntry(notes.recording));
    if (notes.report !== undefined) await catalog.putMigration(await migrationEntry(notes.report));
  } finally {
    catalog.close();
  }
}

/** Makes the home's catalog anew from its machines, recordings and migrations. @throws TrmigError E_CATALOG*, E_ABORTED */
export async function rebuildHome(home: Home, signal?: AbortSignal): Promise<RebuildReport> {
  await home.make(home.root);
  const scanners = {
    machines: () => scan(home.machines, (name) => machineEntry(home, name)),
    recordings: () => scan(home.recordings, (name) => recordingEntry(path.join(home.recordings, name))),
    migrations: () => scan(home.migrations, (name) => migrationEntry(path.join(home.migrations, name, 'report.json'))),
  };
  return rebuildCatalog(home.catalog, scanners, signal ? { signal } : {});
}

async function* scan<T>(folder: string, entry: (name: string) => Promise<T>): Scan<T> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names.sort()) {
    try {
      yield await entry(name);
    } catch (thrown) {
      yield { problem: { path: path.join(folder, name), reason: asTrmigError(thrown).message } };
    }
  }
}
