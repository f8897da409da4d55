// Writes a recording: the manifest first, then the log as it comes, a part whenever one is complete, the closing manifest
// last. The states an outsider can see are listed in recording-layout.ts.
//
// Invariants:
// - Only checked segments that continue the log are written; each is one write, and a failed write is cut off again, so the
//   file ends with a whole segment whenever the writer is able to see to it.
// - Nothing gets a final name before it is synced.
// - The writer never removes or overwrites what it did not write: it begins where there is no recording, or goes on behind the
//   last whole segment of one.
// - One writer at a time: `create` refuses where one has begun; who resumes holds a lock of its own (src/migrate).
// - After the first failure nothing is appended any more; what was written before it stays usable.
import { mkdir, rm, rmdir, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { TrmigError } from '../errors.js';
import { logFileBytes } from '../limits.js';
import { icount, type Icount } from '../units.js';
import { digestFile, type DigestOptions } from './file-digest.js';
import { fileError, isPresent, openFile, publish, syncDirectory, writeFully, type OpenFile } from './files.js';
import {
  decodeManifest,
  encodeManifest,
  type EndDigests,
  type PartRole,
  type RecordingFacts,
  type RecordingManifest,
} from './manifest.js';
import { listLogFiles, logFileName, logFolder, manifestName, partialSuffix, partPath } from './recording-layout.js';
import { RecordingReader } from './recording-reader.js';
import { checkSegment, discontinuity, type Segment, type SegmentHeader } from './segment.js';
import { encodeSegmentRecord } from './segment-record.js';

export interface WriterOptions {
  /** Length from which on a log file is followed by the next. */
  readonly fileBytes?: number;
  /** The door to the disk; a test's may fail. */
  readonly open?: OpenFile;
}

interface GrowingFile {
  readonly handle: FileHandle;
  /** Final path. */
  readonly path: string;
  bytes: number;
}

export class RecordingWriter {
  readonly dir: string;
  #manifest: RecordingManifest;
  readonly #open: OpenFile;
  readonly #fileBytes: number;
  #file: GrowingFile | null = null;
  #last: SegmentHeader | null = null;
  #segments = 0;
  /** Of the log file that a writer before this one left partial: how much of it is whole segments. */
  #wholeBytes = 0;
  #state: 'open' | 'closed' = 'open';
  #failure: TrmigError | null = null;
  /** Calls take effect in their order, whether or not the caller waits for each. */
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(dir: string, manifest: RecordingManifest, options: WriterOptions) {
    this.dir = dir;
    this.#manifest = manifest;
    this.#open = options.open ?? openFile;
    this.#fileBytes = options.fileBytes ?? logFileBytes;
  }

  /**
   * Begins a recording in `dir`, which is made if needed and may already hold parts.
   * @throws TrmigError E_RECORDING_EXISTS when one has been begun there; E_DISK_FULL, E_FILE_ACCESS.
   */
  static async create(dir: string, facts: RecordingFacts, options: WriterOptions = {}): Promise<RecordingWriter> {
    const log = join(dir, logFolder);
    try {
      await mkdir(dir, { recursive: true, mode: 0o700 });
      await mkdir(log, { mode: 0o700 }); // fails if it is there: the lock against a second writer
      await syncDirectory(dir);
    } catch (error) {
      if (isPresent(error))
        throw new TrmigError('E_RECORDING_EXISTS', `${dir} holds a recording already`, { facts: { dir } });
      throw fileError(error, log);
    }
    const writer = new RecordingWriter(dir, { ...facts, parts: [], quirks: 0n, status: 'recording' }, options);
    try {
      await writer.#writeManifest(writer.#manifest);
    } catch (error) {
      // Undo what keeps another attempt from beginning here; the error to report is the first.
      await rm(join(dir, manifestName + partialSuffix), { force: true }).catch(() => undefined);
      await rmdir(log).catch(() => undefined);
      throw error;
    }
    return writer;
  }

  /**
   * Prepares to go on with the recording in `dir`, be it complete or left by a writer that died. Nothing is changed before
   * `reopen`.
   * @throws TrmigError E_RECORDING_*, E_FILE_ACCESS.
   */
  static async resume(dir: string, options: WriterOptions = {}): Promise<RecordingWriter> {
    const reader = await RecordingReader.open(dir);
    const writer = new RecordingWriter(dir, reader.manifest, options);
    for await (const { header, file, offset, storedBytes } of reader.headers()) {
      writer.#last = header;
      writer.#segments += 1;
      if (file.endsWith(partialSuffix)) writer.#wholeBytes = offset + storedBytes;
    }
    return writer;
  }

  get manifest(): RecordingManifest {
    return this.#manifest;
  }

  /** Segments appended so far. */
  get segments(): number {
    return this.#segments;
  }

  /** The instruction where the log ends so far. */
  get end(): Icount {
    return this.#last?.to ?? icount(0);
  }

  /**
   * Adds the next segment. It can be read by a follower as soon as this resolves, and survives a crash after `sync`.
   * @throws TrmigError E_LOG_SEGMENT, E_LOG_EVENT when it is not what it says or does not continue the log;
   * E_DISK_FULL, E_FILE_ACCESS naming the path, and the same again from each later call.
   */
  append(segment: Segment): Promise<void> {
    return this.#enqueue(async () => {
      this.#assertOpen();
      checkSegment(segment);
      const wrong = this.#last === null ? null : discontinuity(this.#last, segment);
      if (wrong !== null) throw new TrmigError('E_LOG_SEGMENT', wrong, { facts: { seq: segment.seq } });
      if (this.#last === null && segment.seq !== 0) {
        throw new TrmigError('E_LOG_SEGMENT', `a recording begins with segment 0, not ${segment.seq}`);
      }
      await this.#failing(join(this.dir, logFileName(segment.seq)), () => this.#write(segment));
      this.#segments += 1;
      const { payload: _payload, ...header } = segment;
      this.#last = header;
    });
  }

  /**
   * After `resume`: says in the manifest that the recording grows again. Until its end that is all that tells it from before.
   * @throws TrmigError E_DISK_FULL, E_FILE_ACCESS; the recording is then as it was.
   */
  reopen(): Promise<void> {
    return this.#enqueue(async () => {
      this.#assertOpen();
      await this.#sealTorn();
      const { uuid, machine, spec, qemu, target, shift, createdMs, virtualNs } = this.#manifest;
      const { registers, devices, blocks, parts, quirks } = this.#manifest;
      const facts = { uuid, machine, spec, qemu, target, shift, createdMs, virtualNs, registers, devices, blocks };
      await this.#writeManifest({ ...facts, parts, quirks, status: 'recording' });
    });
  }

  /** Makes all that was appended survive a crash. */
  sync(): Promise<void> {
    return this.#enqueue(async () => {
      this.#assertOpen();
      const file = this.#file;
      if (file !== null) await this.#failing(file.path, () => file.handle.datasync());
    });
  }

  /**
   * Digests and lists a file of the recording that is complete; it must not change any more.
   * @throws TrmigError E_RECORDING_DAMAGED when it is not there; E_DISK_FULL, E_FILE_ACCESS, E_ABORTED.
   */
  addPart(name: string, role: PartRole, options: DigestOptions = {}): Promise<void> {
    return this.#enqueue(async () => {
      this.#assertOpen();
      const digest = await digestFile(await partPath(this.dir, name), options);
      const parts = this.#manifest.parts.filter((part) => part.name !== name);
      await this.#writeManifest({ ...this.#manifest, parts: [...parts, { name, role, ...digest }] });
    });
  }

  /**
   * Seals the log and says in the manifest that the recording is complete, why it ended and in which state. After a failed append this
   * completes what was written before it, if the disk still takes the manifest.
   * @throws TrmigError E_DISK_FULL, E_FILE_ACCESS; the recording then stays as it is after a crash.
   */
  complete(reason: string, digests: EndDigests | null = null): Promise<void> {
    return this.#enqueue(async () => {
      if (this.#state !== 'open') throw new TrmigError('E_INTERNAL', 'the recording is closed');
      try {
        await this.#seal();
        await this.#writeManifest({
          ...this.#manifest,
          status: 'complete',
          reason,
          segments: this.#segments,
          endIcount: this.end,
          digests,
        });
      } finally {
        await this.#close();
      }
    });
  }

  /** Stops writing and leaves everything as it would be after a crash: readable up to the last whole segment. */
  abort(): Promise<void> {
    return this.#enqueue(() => this.#close());
  }

  /** The file that a writer left that died: without the record that it was writing it is as good as any. */
  async #sealTorn(): Promise<void> {
    const files = await listLogFiles(this.dir);
    for (const { name, firstSeq } of files.filter(({ partial }) => partial)) {
      const path = join(this.dir, name);
      try {
        if (firstSeq >= this.#segments) {
          await rm(path);
          continue;
        }
        const handle = await this.#open(path, 'r+');
        try {
          await handle.truncate(this.#wholeBytes);
          await handle.sync();
        } finally {
          await handle.close();
        }
        await publish(path, path.slice(0, -partialSuffix.length));
      } catch (error) {
        throw fileError(error, path);
      }
    }
  }

  async #write(segment: Segment): Promise<void> {
    if (this.#file !== null && this.#file.bytes >= this.#fileBytes) await this.#seal();
    this.#file ??= await this.#begin(segment.seq);
    const file = this.#file;
    const record = encodeSegmentRecord(segment);
    try {
      await writeFully(file.handle, record, file.bytes);
    } catch (error) {
      // Undo the half record. If even that fails, readers take it for the torn tail that it is.
      await file.handle.truncate(file.bytes).catch(() => undefined);
      throw error;
    }
    file.bytes += record.length;
  }

  async #begin(seq: number): Promise<GrowingFile> {
    const path = join(this.dir, logFileName(seq));
    const handle = await this.#open(path + partialSuffix, 'wx');
    await syncDirectory(join(this.dir, logFolder));
    return { handle, path, bytes: 0 };
  }

  async #seal(): Promise<void> {
    const file = this.#file;
    if (file === null) return;
    this.#file = null;
    const partial = file.path + partialSuffix;
    try {
      try {
        if (this.#failure !== null) await file.handle.truncate(file.bytes); // the undo may have failed too
        await file.handle.sync();
      } finally {
        await file.handle.close();
      }
      if (file.bytes > 0) await publish(partial, file.path);
      else await rm(partial); // its first append failed; a sealed file has a segment
    } catch (error) {
      throw fileError(error, file.path);
    }
  }

  async #writeManifest(manifest: RecordingManifest): Promise<void> {
    const path = join(this.dir, manifestName);
    const bytes = encodeManifest(manifest);
    decodeManifest(bytes, path); // what is written must be what a reader accepts
    try {
      const handle = await this.#open(path + partialSuffix, 'w');
      try {
        await writeFully(handle, bytes, 0);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await publish(path + partialSuffix, path);
    } catch (error) {
      throw fileError(error, path);
    }
    this.#manifest = manifest;
  }

  async #close(): Promise<void> {
    this.#state = 'closed';
    const file = this.#file;
    this.#file = null;
    await file?.handle.close();
  }

  #assertOpen(): void {
    if (this.#failure !== null) throw this.#failure;
    if (this.#state !== 'open') throw new TrmigError('E_INTERNAL', 'the recording is closed');
  }

  async #failing(path: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#failure = fileError(error, path);
      throw this.#failure;
    }
  }

  #enqueue(work: () => Promise<void>): Promise<void> {
    const done = this.#queue.then(work);
    this.#queue = done.catch(() => undefined);
    return done;
  }
}
