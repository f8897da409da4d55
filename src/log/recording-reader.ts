// Reads a recording, complete or still growing. A follower sees each segment once it is whole; whoever does not follow sees
// what is there. A torn tail is no error while the recording is not complete: its writer is at it, or died there.
//
// Invariant: segments come out checked, in order and without gaps, from the one asked for on; or there is one error that
// names file and offset.
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { TrmigError } from '../errors.js';
import { followPollMs, recordHeadBytesMax } from '../limits.js';
import { damaged } from './envelope.js';
import { fileError, isMissing, openFile, readFully } from './files.js';
import { LogFileReader, type StoredSegment } from './log-file.js';
import { decodeManifest, type RecordingManifest } from './manifest.js';
import { listLogFiles, logFileName, manifestName, partialSuffix, partPath } from './recording-layout.js';
import { discontinuity, type Segment, type SegmentHeader } from './segment.js';

export interface SegmentRange {
  /** The first segment wanted; 0 unless told. */
  readonly from?: number;
  /** Wait for more until the recording is complete. */
  readonly follow?: boolean;
  readonly pollMs?: number;
  readonly signal?: AbortSignal | undefined;
}

interface Found {
  readonly stored: StoredSegment;
  readonly file: LogFileReader;
}

export class RecordingReader {
  readonly dir: string;
  #manifest: RecordingManifest;

  private constructor(dir: string, manifest: RecordingManifest) {
    this.dir = dir;
    this.#manifest = manifest;
  }

  /**
   * Reads the manifest of the recording in `dir`.
   * @throws TrmigError E_RECORDING_MISSING, E_RECORDING_DAMAGED, E_RECORDING_FORMAT, E_FILE_ACCESS.
   */
  static async open(dir: string): Promise<RecordingReader> {
    return new RecordingReader(dir, await readManifest(dir));
  }

  /** As it was at `open` or the last `refresh`; following refreshes it. */
  get manifest(): RecordingManifest {
    return this.#manifest;
  }

  /** Reads the manifest again: a growing recording's changes. */
  async refresh(): Promise<RecordingManifest> {
    this.#manifest = await readManifest(this.dir);
    return this.#manifest;
  }

  /**
   * The path of a part, which lies within the recording.
   * @throws TrmigError E_RECORDING_DAMAGED when it is missing or leads elsewhere.
   */
  partPath(name: string): Promise<string> {
    return partPath(this.dir, name);
  }

  /**
   * The segments, with their payloads. Nothing is held open once the iteration has ended.
   * @throws TrmigError E_RECORDING_DAMAGED, E_RECORDING_FORMAT (facts: file, offset); E_ABORTED; E_FILE_ACCESS.
   */
  async *segments(range: SegmentRange = {}): AsyncGenerator<Segment> {
    for await (const { stored, file } of this.#walk(range)) yield file.body(stored);
  }

  /** The segments' headers and places only; payloads are neither read nor checked. Throws as `segments` does. */
  async *headers(range: SegmentRange = {}): AsyncGenerator<StoredSegment> {
    for await (const { stored } of this.#walk(range)) yield stored;
  }

  async *#walk(range: SegmentRange): AsyncGenerator<Found> {
    const wanted = range.from ?? 0;
    let previous: SegmentHeader | null = null;
    let fileSeq = await this.#fileWith(wanted);
    for (;;) {
      const file = await this.#openLog(fileSeq, range);
      if (file === null) return;
      try {
        for await (const found of this.#walkFile(file, fileSeq, range)) {
          const { header } = found.stored;
          const wrong = previous === null ? wrongStart(header, fileSeq) : discontinuity(previous, header);
          if (wrong !== null) throw damaged({ file: file.path, offset: found.stored.offset }, wrong);
          previous = header;
          if (header.seq >= wanted) yield found;
        }
      } finally {
        await file.close();
      }
      if (this.#isEnd(previous)) return;
      if (previous === null || previous.seq < fileSeq) return; // a file without a whole segment: nothing follows it
      fileSeq = previous.seq + 1;
    }
  }

  async *#walkFile(file: LogFileReader, fileSeq: number, range: SegmentRange): AsyncGenerator<Found> {
    let last: SegmentHeader | null = null;
    for (let offset = 0; ;) {
      refuseAborted(this.dir, range.signal);
      let stored = await file.head(offset);
      let sealed = false;
      if (!('header' in stored)) {
        // In this order: what a file does not have after it was sealed, it will never have.
        sealed = await exists(join(this.dir, logFileName(fileSeq)));
        stored = await file.head(offset);
      }
      if ('header' in stored) {
        yield { stored, file };
        last = stored.header;
        offset += stored.storedBytes;
        continue;
      }
      if (sealed && (stored.torn || last === null))
        throw damaged({ file: file.path, offset }, 'it ends inside a record');
      if (sealed || this.#isEnd(last)) return;
      if (this.#manifest.status === 'complete') {
        if (fileSeq >= this.#manifest.segments) return; // begun for a segment that was never written
        throw damaged({ file: file.path, offset }, 'it was never sealed, yet the recording says that it is complete');
      }
      if (range.follow !== true) return;
      await this.#wait(range);
    }
  }

  /** Opens the log file that begins with `seq`; null when the log ends before it. */
  async #openLog(seq: number, range: SegmentRange): Promise<LogFileReader | null> {
    const path = join(this.dir, logFileName(seq));
    for (;;) {
      const manifest = this.#manifest;
      if (manifest.status === 'complete' && seq >= manifest.segments) return null;
      // The sealed name again at last: the file may have been renamed between the first two attempts.
      for (const name of [path, path + partialSuffix, path]) {
        try {
          return await LogFileReader.open(name);
        } catch (error) {
          if (!isMissing(error)) throw fileError(error, name);
        }
      }
      if (manifest.status === 'complete') {
        throw damaged(
          { file: path, offset: 0 },
          `it is missing: segments ${seq} to ${manifest.segments - 1} should follow`,
        );
      }
      if (range.follow !== true) return null;
      await this.#wait(range);
    }
  }

  /** The first segment of the log file that holds segment `seq`. */
  async #fileWith(seq: number): Promise<number> {
    const files = await listLogFiles(this.dir);
    return files.findLast((file) => file.firstSeq <= seq)?.firstSeq ?? 0;
  }

  #isEnd(last: SegmentHeader | null): boolean {
    return last !== null && this.#manifest.status === 'complete' && last.seq + 1 >= this.#manifest.segments;
  }

  async #wait(range: SegmentRange): Promise<void> {
    try {
      await delay(range.pollMs ?? followPollMs, undefined, range.signal === undefined ? {} : { signal: range.signal });
    } catch (error) {
      throw new TrmigError('E_ABORTED', `following ${this.dir} was cancelled`, { cause: error });
    }
    await this.refresh();
  }
}

function wrongStart(header: SegmentHeader, fileSeq: number): string | null {
  return header.seq === fileSeq ? null : `it begins with segment ${header.seq}, not ${fileSeq} as its name says`;
}

function refuseAborted(dir: string, signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new TrmigError('E_ABORTED', `reading ${dir} was cancelled`);
}

async function readManifest(dir: string): Promise<RecordingManifest> {
  const path = join(dir, manifestName);
  try {
    const file = await openFile(path, 'r');
    try {
      // A little more than allowed: a manifest that is too large is told from one that ends too soon.
      return decodeManifest(await readFully(file, 0, recordHeadBytesMax + 1024), path);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (!isMissing(error)) throw fileError(error, path);
    throw new TrmigError('E_RECORDING_MISSING', `${dir} is not a recording: it has no ${manifestName}`, {
      facts: { dir },
      cause: error,
    });
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await (await openFile(path, 'r')).close();
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw fileError(error, path);
  }
}
