// A log named on the command line: a recording's directory, or the file that a stock QEMU wrote with rr=record.
import { readFile, stat } from 'node:fs/promises';
import { TrmigError } from '../errors.js';
import { icount } from '../units.js';
import type { RecordingManifest, Segment } from '../index.js';

export interface LogSource {
  readonly path: string;
  /** The recording's; null for a raw log. */
  readonly manifest: RecordingManifest | null;
  /** Whether the log ends where its writer ended it. */
  readonly ended: boolean;
  segments(options?: { follow?: boolean; signal?: AbortSignal }): AsyncIterable<Segment>;
}

/** A stock log is read as a whole; those of a boot have some 100 MB. */
const rawBytesMax = 1024 * 1024 * 1024;

/** @throws TrmigError E_RECORDING_*, E_LOG_EVENT, E_FILE_ACCESS */
export async function openLogSource(path: string): Promise<LogSource> {
  const { RecordingReader } = await import('../index.js');
  const found = await stat(path).catch((cause: unknown) => {
    throw new TrmigError('E_FILE_ACCESS', `${path}: ${(cause as Error).message}`, { cause, facts: { path } });
  });
  if (!found.isDirectory()) return openQemuLog(path, found.size);
  const reader = await RecordingReader.open(path);
  const { manifest } = reader;
  return {
    path,
    manifest,
    ended: manifest.status === 'complete',
    segments: (options = {}) => reader.segments(options),
  };
}

async function openQemuLog(path: string, bytes: number): Promise<LogSource> {
  const { readQemuLog, sealSegment } = await import('../index.js');
  if (bytes > rawBytesMax) throw new TrmigError('E_LOG_EVENT', `${path} is too large for a replay log: ${bytes} bytes`);
  const { payload, ended } = readQemuLog(await readFile(path));
  const segment = sealSegment({ seq: 0, from: icount(0), payload, final: ended });
  // An iterable of one.
  async function* segments(): AsyncGenerator<Segment> {
    yield segment;
  }
  return { path, manifest: null, ended, segments };
}
