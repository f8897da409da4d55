// One SQLite file, several processes. WAL lets readers go on while one writes; a writer waits for another, bounded. Opening
// checks that the file is a catalog, of a version this trmig knows, and takes it through the schema steps it lacks.
//
// Invariants:
// - Schema steps run under the write lock, after the version was read again: two processes never run the same step.
// - A file that is another program's, or a newer trmig's, is never written.
import { closeSync, mkdirSync, openSync } from 'node:fs';
import path from 'node:path';
import SqliteDatabase from 'better-sqlite3';
import { TrmigError } from '../errors.js';
import { catalogBusyMsMax } from '../limits.js';
import { applicationId, schemaSteps } from './schema-steps.js';

export type Database = SqliteDatabase.Database;

/** Opens (and makes, where it is missing) the catalog's file. @throws E_CATALOG, _NEWER, _CORRUPT, _BUSY */
export function openDatabase(file: string, steps: readonly string[] = schemaSteps): Database {
  return guarded(file, () => {
    mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
    // SQLite would make it readable for all; its -wal and -shm files take the mode of this one.
    closeSync(openSync(file, 'a', 0o600));
    const database = new SqliteDatabase(file, { timeout: catalogBusyMsMax });
    try {
      // In one transaction: another process may be making the file right now.
      database.transaction(() => checkHeader(database, file, steps.length)).deferred();
      database.pragma('journal_mode = WAL');
      // An index that can be rebuilt need not survive the last moments before a power cut, only stay whole.
      database.pragma('synchronous = NORMAL');
      database.pragma('foreign_keys = ON');
      bringUpToDate(database, file, steps);
      return database;
    } catch (error) {
      database.close();
      throw error;
    }
  });
}

/** Runs `work`, turning SQLite's and the file system's errors into the catalog's codes. */
export function guarded<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw catalogError(file, cause);
  }
}

/** The error for something that the catalog's file did. */
export function catalogError(file: string, cause: unknown): TrmigError {
  if (cause instanceof TrmigError) return cause;
  const code = (cause as { code?: unknown }).code;
  const name = typeof code === 'string' ? code : '';
  const message = cause instanceof Error ? cause.message : String(cause);
  const details = { cause, facts: { file, sqlite: name } };
  if (/^SQLITE_(CORRUPT|NOTADB)/.test(name)) {
    return new TrmigError('E_CATALOG_CORRUPT', `${file} is damaged: ${message}`, details);
  }
  if (/^SQLITE_(BUSY|LOCKED)/.test(name)) {
    return new TrmigError('E_CATALOG_BUSY', `${file} was locked for more than ${catalogBusyMsMax} ms`, details);
  }
  return new TrmigError('E_CATALOG', `${file}: ${message}`, details);
}

function checkHeader(database: Database, file: string, stepsKnown: number): void {
  const id = Number(database.pragma('application_id', { simple: true }));
  const version = readVersion(database);
  const tables = Number(database.prepare('SELECT count(*) FROM sqlite_master').pluck().get());
  if (id !== applicationId && (id !== 0 || version !== 0 || tables !== 0)) {
    throw new TrmigError('E_CATALOG', `${file} is a database, but not a catalog of trmig`, {
      hint: 'Set TRMIG_HOME to another directory, or move that file away.',
      facts: { file, applicationId: id },
    });
  }
  if (version > stepsKnown) {
    throw new TrmigError('E_CATALOG_NEWER', `${file} has schema ${version}, and this trmig knows up to ${stepsKnown}`, {
      facts: { file, found: version, known: stepsKnown },
    });
  }
}

function bringUpToDate(database: Database, file: string, steps: readonly string[]): void {
  if (readVersion(database) === steps.length) return;
  database
    .transaction(() => {
      checkHeader(database, file, steps.length);
      for (const step of steps.slice(readVersion(database))) database.exec(step);
      database.pragma(`application_id = ${applicationId}`);
      database.pragma(`user_version = ${steps.length}`);
    })
    .immediate();
}

function readVersion(database: Database): number {
  return Number(database.pragma('user_version', { simple: true }));
}
