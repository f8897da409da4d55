// Reads all of a recording and lists everything that is wrong with it, each with file and offset: where `segments` stops at
// the first fault, this goes on with the next file. Nothing is changed or mended.
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { TrmigError, asTrmigError, type ErrorCode } from '../errors.js';
import { damaged } from './envelope.js';
import { digestFile } from './file-digest.js';
import { fileError, isMissing } from './files.js';
import { LogFileReader } from './log-file.js';
import type { RecordingManifest, RecordingPart } from './manifest.js';
import { listLogFiles, logFileName, manifestName, partialSuffix, type LogFile } from './recording-layout.js';
import { RecordingReader } from './recording-reader.js';
import { discontinuity, type SegmentHeader } from './segment.js';

export interface RecordingProblem {
  readonly code: ErrorCode;
  readonly file: string;
  readonly offset: number;
  readonly message: string;
}

export interface RecordingCheck {
  /** Empty when all is well. */
  readonly problems: readonly RecordingProblem[];
  /** Whole segments found. */
  readonly segments: number;
  /** Bytes read. */
  readonly bytes: number;
}

export interface VerifyOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called now and then with the bytes read so far, and the bytes there are. */
  readonly onProgress?: ((readBytes: number, totalBytes: number) => void) | undefined;
}

/**
 * Checks every byte of the recording in `dir`.
 * @throws TrmigError E_RECORDING_MISSING, E_ABORTED, E_FILE_ACCESS; damage is not thrown but listed.
 */
export async function verifyRecording(dir: string, options: VerifyOptions = {}): Promise<RecordingCheck> {
  const check = new Verification(dir, options);
  await check.run();
  return { problems: check.problems, segments: check.segments, bytes: check.bytes };
}

class Verification {
  readonly problems: RecordingProblem[] = [];
  segments = 0;
  bytes = 0;
  #totalBytes = 0;
  #last: SegmentHeader | null = null;
  /** After a fault the next segment is taken as it is: what is missing has been named already. */
  #astray = false;

  constructor(
    readonly dir: string,
    readonly options: VerifyOptions,
  ) {}

  async run(): Promise<void> {
    const manifest = await this.#listing(async () => (await RecordingReader.open(this.dir)).manifest);
    const logs = await listLogFiles(this.dir);
    this.#totalBytes = await this.#sizes(manifest ?? null, logs);
    for (const part of manifest?.parts ?? []) await this.#listing(() => this.#part(part));
    for (const log of logs) {
      const whole = await this.#listing(() => this.#log(log));
      this.#astray ||= whole !== true;
    }
    if (manifest?.status === 'complete') this.#ending(manifest, logs.at(-1));
  }

  async #part(part: RecordingPart): Promise<void> {
    const { signal } = this.options;
    const file = join(this.dir, part.name);
    const path = await (await RecordingReader.open(this.dir)).partPath(part.name);
    const found = await digestFile(path, { signal, onProgress: (bytes) => this.#advance(bytes) });
    if (found.bytes !== part.bytes) {
      this.#add(file, Math.min(found.bytes, part.bytes), `it has ${found.bytes} bytes instead of ${part.bytes}`);
    } else if (found.digest !== part.digest) {
      this.#add(file, 0, 'its digest is not the one in the manifest');
    }
  }

  async #log(log: LogFile): Promise<true> {
    this.#expectFile(log.firstSeq);
    const file = await openListed(join(this.dir, log.name));
    const { path } = file;
    try {
      let offset = 0;
      for (;;) {
        if (this.options.signal?.aborted) throw new TrmigError('E_ABORTED', `verifying ${this.dir} was cancelled`);
        const stored = await file.head(offset);
        if (!('header' in stored)) {
          if (path.endsWith(partialSuffix) || (offset > 0 && !stored.torn)) return true;
          throw damaged({ file: path, offset }, 'it ends inside a record');
        }
        const { payload: _payload, ...header } = await file.body(stored);
        this.#sighted(header, path, offset, log);
        offset += stored.storedBytes;
        this.segments += 1;
        this.#advance(stored.storedBytes);
      }
    } finally {
      await file.close();
    }
  }

  /** A log file that begins with segment `seq` is next: is one missing before it? */
  #expectFile(seq: number): void {
    const expected = (this.#last?.seq ?? -1) + 1;
    if (this.#astray || seq === expected) return;
    const why = `it is missing or too short: the next log file begins with segment ${seq}`;
    this.#add(join(this.dir, logFileName(expected)), 0, why);
    this.#astray = true;
  }

  #sighted(next: SegmentHeader, file: string, offset: number, log: LogFile): void {
    const wrong =
      offset === 0 && next.seq !== log.firstSeq
        ? `it begins with segment ${next.seq}, not ${log.firstSeq} as its name says`
        : this.#astray || this.#last === null
          ? null
          : discontinuity(this.#last, next);
    if (wrong !== null) throw damaged({ file, offset }, wrong);
    this.#astray = false;
    this.#last = next;
  }

  #ending(manifest: RecordingManifest & { readonly status: 'complete' }, lastFile: LogFile | undefined): void {
    const file = join(this.dir, manifestName);
    if (lastFile?.partial === true) this.#add(join(this.dir, lastFile.name), 0, 'it was never sealed');
    const segments = (this.#last?.seq ?? -1) + 1;
    if (this.#astray) return;
    if (segments < manifest.segments) {
      this.#add(
        join(this.dir, logFileName(segments)),
        0,
        `it is missing: there should be ${manifest.segments} segments`,
      );
    } else if (segments > manifest.segments) {
      this.#add(file, 0, `the manifest counts ${manifest.segments} segments, the log holds ${segments}`);
    } else if (this.#last !== null && this.#last.to !== manifest.endIcount) {
      const end = `instruction ${this.#last.to}`;
      this.#add(file, 0, `the manifest ends at instruction ${manifest.endIcount}, the log at ${end}`);
    }
  }

  /** Runs one step; what it throws about the recording becomes a problem, anything else goes on up. */
  async #listing<Value>(step: () => Promise<Value>): Promise<Value | undefined> {
    try {
      return await step();
    } catch (thrown) {
      const error = asTrmigError(thrown);
      if (error.code !== 'E_RECORDING_DAMAGED' && error.code !== 'E_RECORDING_FORMAT') throw error;
      const { file, offset } = error.facts;
      this.problems.push({
        code: error.code,
        file: typeof file === 'string' ? file : this.dir,
        offset: typeof offset === 'number' ? offset : 0,
        message: error.message,
      });
      return undefined;
    }
  }

  #add(file: string, offset: number, why: string): void {
    const message = `${file} is damaged at byte ${offset}: ${why}`;
    this.problems.push({ code: 'E_RECORDING_DAMAGED', file, offset, message });
  }

  #advance(bytes: number): void {
    this.bytes += bytes;
    this.options.onProgress?.(this.bytes, this.#totalBytes);
  }

  async #sizes(manifest: RecordingManifest | null, logs: readonly LogFile[]): Promise<number> {
    let total = (manifest?.parts ?? []).reduce((sum, part) => sum + part.bytes, 0);
    for (const log of logs) {
      try {
        total += (await stat(join(this.dir, log.name))).size;
      } catch (error) {
        if (!isMissing(error)) throw error; // renamed meanwhile: progress is a little off
      }
    }
    return total;
  }
}

/** The growing file may have been sealed since it was listed. */
async function openListed(path: string): Promise<LogFileReader> {
  try {
    return await LogFileReader.open(path);
  } catch (error) {
    const sealed = path.endsWith(partialSuffix) ? path.slice(0, -partialSuffix.length) : null;
    if (sealed === null || !isMissing(error)) throw fileError(error, path);
    return LogFileReader.open(sealed).catch((again: unknown) => {
      throw fileError(again, sealed);
    });
  }
}
