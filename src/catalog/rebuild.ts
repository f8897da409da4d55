// The catalog from what is on disk. Who knows how a machine's folder or a recording looks is above or beside this module,
// so the scans come as parameters.
//
// Invariants:
// - A sound catalog is replaced in one transaction: other processes see the old content or the new.
// - A damaged one is moved aside whole (with its -wal: that beside a new file would be played into it), never deleted.
// - A newer trmig's catalog is left alone.
import { rename } from 'node:fs/promises';
import { TrmigError, asTrmigError } from '../errors.js';
import type { CatalogContent } from './catalog.js';
import type { MachineRow, MigrationRow, RecordingEntry } from './rows.js';
import { SqliteCatalog } from './sqlite-catalog.js';

/** Something on disk that could not be taken in; the rest is. */
export interface ScanProblem {
  readonly path: string;
  readonly reason: string;
}

export type Scan<T> = AsyncIterable<T | { readonly problem: ScanProblem }>;

export interface Scanners {
  readonly machines?: (signal?: AbortSignal) => Scan<MachineRow>;
  readonly recordings?: (signal?: AbortSignal) => Scan<RecordingEntry>;
  readonly migrations?: (signal?: AbortSignal) => Scan<MigrationRow>;
}

export interface RebuildReport {
  readonly machines: number;
  readonly recordings: number;
  readonly migrations: number;
  readonly problems: readonly ScanProblem[];
  /** Where the damaged catalog went; null when it was sound. */
  readonly movedTo: string | null;
}

/**
 * Makes the catalog at `file` anew.
 * @throws E_CATALOG_NEWER, E_CATALOG_BUSY, E_CATALOG, E_ABORTED; the catalog is as before then, or moved aside
 */
export async function rebuildCatalog(
  file: string,
  scanners: Scanners,
  options: { signal?: AbortSignal } = {},
): Promise<RebuildReport> {
  const { signal } = options;
  const problems: ScanProblem[] = [];
  const machines = await collect(scanners.machines, problems, signal);
  const recordings = await collect(scanners.recordings, problems, signal);
  const migrations = await collect(scanners.migrations, problems, signal);
  const content = { machines, recordings, migrations };
  let movedTo = await moveAsideIfDamaged(file);
  try {
    await fill(file, content);
  } catch (cause) {
    // SQLite's check does not find all damage; writing does.
    if (movedTo !== null || asTrmigError(cause).code !== 'E_CATALOG_CORRUPT') throw cause;
    movedTo = await moveAside(file);
    await fill(file, content);
  }
  return {
    machines: machines.length,
    recordings: recordings.length,
    migrations: migrations.length,
    problems,
    movedTo,
  };
}

async function collect<T extends object>(
  scan: ((signal?: AbortSignal) => Scan<T>) | undefined,
  problems: ScanProblem[],
  signal: AbortSignal | undefined,
): Promise<T[]> {
  const rows: T[] = [];
  if (!scan) return rows;
  for await (const found of scan(signal)) {
    if (signal?.aborted) throw new TrmigError('E_ABORTED', 'rebuilding the catalog was cancelled');
    if ('problem' in found) problems.push(found.problem);
    else rows.push(found);
  }
  return rows;
}

async function moveAsideIfDamaged(file: string): Promise<string | null> {
  const catalog = new SqliteCatalog(file);
  try {
    if ((await catalog.check()).length === 0) return null;
  } catch (cause) {
    if (asTrmigError(cause).code !== 'E_CATALOG_CORRUPT') throw cause;
  } finally {
    catalog.close();
  }
  return moveAside(file);
}

async function fill(file: string, content: CatalogContent): Promise<void> {
  const catalog = new SqliteCatalog(file);
  try {
    await catalog.replaceAll(content);
  } finally {
    catalog.close();
  }
}

async function moveAside(file: string): Promise<string> {
  const movedTo = `${file}.damaged-${Date.now()}`;
  for (const suffix of ['-wal', '-shm', '']) await renameIfThere(`${file}${suffix}`, `${movedTo}${suffix}`);
  return movedTo;
}

async function renameIfThere(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw new TrmigError('E_CATALOG', `cannot move ${from} aside: ${String(cause)}`, { cause, facts: { file: from } });
  }
}
