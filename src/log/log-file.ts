// Reads one log file of a recording, record by record, while it may still be growing. Memory is bounded by one record and a
// window of read-ahead.
//
// Invariant: what is returned was whole, and its checksums matched, at the place that is named.
import type { FileHandle } from 'node:fs/promises';
import { KIB } from '../limits.js';
import type { EncodedHeader } from './codec.js';
import {
  bodyOffset,
  checkBody,
  damaged,
  readHead,
  readPrefix,
  recordPrefixBytes,
  type RecordPlace,
} from './envelope.js';
import { fileError, openFile, readFully } from './files.js';
import { readSegmentBody, readSegmentHead } from './segment-record.js';
import type { Segment } from './segment.js';

const windowBytes = 64 * KIB;

/** A segment where it lies; `read` fetches and checks its payload. */
export interface StoredSegment {
  readonly header: EncodedHeader;
  readonly file: string;
  readonly offset: number;
  /** Bytes of the whole record. */
  readonly storedBytes: number;
}

export class LogFileReader {
  readonly path: string;
  readonly #handle: FileHandle;
  #window: Buffer = Buffer.alloc(0);
  #windowAt = 0;
  /** The file is known to have at least so many bytes. */
  #bytes = 0;

  private constructor(path: string, handle: FileHandle) {
    this.path = path;
    this.#handle = handle;
  }

  /** @throws what `open` throws: the caller knows what a missing file means. */
  static async open(path: string): Promise<LogFileReader> {
    return new LogFileReader(path, await openFile(path, 'r'));
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  /**
   * The segment whose record begins at `offset`, without its body; or, when the file ends before the record does, whether
   * anything of it is there.
   * @throws TrmigError E_RECORDING_DAMAGED, E_RECORDING_FORMAT, E_FILE_ACCESS.
   */
  async head(offset: number): Promise<StoredSegment | { readonly torn: boolean }> {
    const place: RecordPlace = { file: this.path, offset };
    const start = await this.#read(offset, recordPrefixBytes);
    if (start.length < recordPrefixBytes) return { torn: start.length > 0 };
    const prefix = readPrefix(start, 'segment', place);
    const bodyAt = bodyOffset(prefix);
    const bytes = await this.#read(offset, bodyAt);
    if (bytes.length < bodyAt) return { torn: true };
    const header = readSegmentHead(readHead(bytes, prefix, 'segment', place), place);
    const storedBytes = bodyAt + prefix.bodyBytes;
    if (!(await this.#reaches(offset + storedBytes))) return { torn: true };
    return { header, file: this.path, offset, storedBytes };
  }

  /**
   * The whole segment that `head` found.
   * @throws TrmigError E_RECORDING_DAMAGED, E_FILE_ACCESS.
   */
  async body(stored: StoredSegment): Promise<Segment> {
    const place: RecordPlace = { file: this.path, offset: stored.offset };
    const record = await this.#read(stored.offset, stored.storedBytes);
    if (record.length < stored.storedBytes) throw damaged(place, 'it ends inside a record');
    const prefix = readPrefix(record, 'segment', place);
    const body = record.subarray(bodyOffset(prefix));
    checkBody(body, prefix, place);
    return readSegmentBody(stored.header, body, place);
  }

  async #read(at: number, length: number): Promise<Buffer> {
    const end = at + length;
    if (at < this.#windowAt || end > this.#windowAt + this.#window.length) {
      // What a window holds does not change: files only grow. A window that is too short may only be out of date.
      try {
        this.#window = await readFully(this.#handle, at, Math.max(length, windowBytes));
      } catch (error) {
        throw fileError(error, this.path);
      }
      this.#windowAt = at;
      this.#bytes = Math.max(this.#bytes, at + this.#window.length);
    }
    return this.#window.subarray(at - this.#windowAt, end - this.#windowAt);
  }

  async #reaches(end: number): Promise<boolean> {
    if (this.#bytes < end) {
      try {
        this.#bytes = (await this.#handle.stat()).size;
      } catch (error) {
        throw fileError(error, this.path);
      }
    }
    return this.#bytes >= end;
  }
}
