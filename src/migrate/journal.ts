// The ownership journal: what this host has promised about a machine, on disk, one file a machine (`ownership.log`).
//
//   <crc32 of the JSON, 8 hex digits> <JSON of the record>\n        one line a record, appended and synced
//
// The records are followed by zeros, allocated ahead: a record then overwrites what is there, and its sync need not wait for
// the file system to note a new length. That is downtime: two records are synced while the guest stands still.
//
// What an outsider can see: a whole file; or one whose last record came to the disk in part, when the power went before
// the sync: nobody was told of that record, so it is dropped. Everything else that does not verify is damage, and a
// damaged journal decides nothing.
// Invariants: `append` returns only when the record is on disk; when it throws E_JOURNAL_WRITE it certainly is not; only
// E_JOURNAL_UNCERTAIN leaves it open, and nothing more can be appended through this object then. What `open` and
// `readSyncedJournal` return is on disk.

import { open, readFile, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { z } from 'zod';
import { TrmigError } from '../errors.js';
import { journalBytesMax, migrationIdCharsMax } from '../limits.js';

const sourceStates = ['recording', 'draining', 'relinquished', 'reclaimed', 'returned', 'retired'] as const;
const destinationStates = ['replaying', 'owner', 'live', 'declined', 'discarded'] as const;

const common = {
  migrationId: z.string().min(1).max(migrationIdCharsMax),
  /** Counts the moves of ownership that this machine has made; a migration's epoch is its move's. */
  epoch: z.int().min(0),
  /** The other host's address, host:port: where to ask. */
  peer: z.string().max(512),
  /** Wall clock, ISO 8601; for people only. */
  time: z.string().max(64),
};
const recordSchema = z.discriminatedUnion('role', [
  z.strictObject({ ...common, role: z.literal('source'), state: z.enum(sourceStates) }),
  z.strictObject({ ...common, role: z.literal('destination'), state: z.enum(destinationStates) }),
]);

export type OwnershipRecord = Readonly<z.infer<typeof recordSchema>>;
export type SourceRecordState = (typeof sourceStates)[number];
export type DestinationRecordState = (typeof destinationStates)[number];

/** What a journal's bytes hold. */
export interface JournalContent {
  readonly records: readonly OwnershipRecord[];
  /** Bytes of whole records; what follows is a torn last one. */
  readonly wholeBytes: number;
  readonly tornBytes: number;
}

/** A record's line, newline included. */
export function encodeRecord(record: OwnershipRecord): Buffer {
  const json = JSON.stringify(recordSchema.parse(record));
  return Buffer.from(`${crc32(json).toString(16).padStart(8, '0')} ${json}\n`);
}

/**
 * Reads a journal's bytes. `path` is for the message.
 * @throws TrmigError E_JOURNAL_DAMAGED for anything but a torn last record, with the offset.
 */
export function decodeJournal(bytes: Buffer, path: string): JournalContent {
  const records: OwnershipRecord[] = [];
  const end = writtenBytes(bytes);
  let at = 0;
  while (at < end) {
    const newline = bytes.indexOf(0x0a, at);
    if (newline < 0 || bytes[at] === 0) {
      if (!isTorn(bytes.subarray(at, end))) throw damaged(path, at);
      return { records, wholeBytes: at, tornBytes: end - at };
    }
    const record = decodeLine(bytes.toString('utf8', at, newline));
    if (record === null) throw damaged(path, at);
    records.push(record);
    at = newline + 1;
  }
  return { records, wholeBytes: at, tornBytes: 0 };
}

/** Without the zeros at the end, which wait for records. */
function writtenBytes(bytes: Buffer): number {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return end;
}

/** A record of which only the beginning, or only the end, came to the disk: sectors are written whole or not at all. */
function isTorn(rest: Buffer): boolean {
  const newline = rest.indexOf(0x0a);
  if (rest[0] === 0) return newline === rest.length - 1;
  // A whole record whose newline alone is missing or wrong was synced: it is damage, and never dropped.
  const isWhole = [rest, rest.subarray(0, -1)].some((line) => decodeLine(line.toString('utf8')) !== null);
  return newline < 0 && !isWhole && !rest.includes(0);
}

function damaged(path: string, offset: number): TrmigError {
  const facts = { path, offset };
  return new TrmigError('E_JOURNAL_DAMAGED', `${path} is damaged at byte ${offset}`, { facts });
}

function decodeLine(line: string): OwnershipRecord | null {
  const json = line.slice(9);
  if (line[8] !== ' ' || line.slice(0, 8) !== crc32(json).toString(16).padStart(8, '0')) return null;
  try {
    return recordSchema.parse(JSON.parse(json));
  } catch {
    return null;
  }
}

async function readBytes(path: string): Promise<Buffer> {
  try {
    const bytes = await readFile(path);
    if (bytes.length <= journalBytesMax) return bytes;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0);
    throw error;
  }
  throw new TrmigError('E_JOURNAL_DAMAGED', `${path} is larger than a journal can be`, { facts: { path } });
}

/**
 * A look at a journal, without touching it; no file is an empty journal. Its last record may not be on disk yet.
 * @throws TrmigError E_JOURNAL_DAMAGED
 */
export async function readJournal(path: string): Promise<JournalContent> {
  return decodeJournal(await readBytes(path), path);
}

/**
 * A journal's records, of which each is on disk: what is promised to another host must not be lost with this one's power.
 * @throws TrmigError E_JOURNAL_DAMAGED, E_JOURNAL_UNCERTAIN
 */
export async function readSyncedJournal(path: string): Promise<readonly OwnershipRecord[]> {
  const { records, wholeBytes } = await readJournal(path);
  if (records.length === 0) return records;
  try {
    const file = await open(path, 'r+');
    await rewriteLast(file, wholeBytes).finally(() => file.close());
  } catch (cause) {
    const message = `${path} may or may not be on disk: ${text(cause)}`;
    throw new TrmigError('E_JOURNAL_UNCERTAIN', message, { cause, facts: { path } });
  }
  return records;
}

/** A sync that failed may have left a record that can be read and is not on disk, and that no later sync would write. */
async function rewriteLast(file: FileHandle, wholeBytes: number): Promise<void> {
  if (wholeBytes === 0) return;
  const from = Math.max(0, wholeBytes - rewrittenBytes);
  const bytes = Buffer.alloc(wholeBytes - from);
  const { bytesRead } = await file.read(bytes, 0, bytes.length, from);
  await file.write(bytes, 0, bytesRead, from);
  await file.datasync();
}

/** What a journal needs of its file; a test's door to failing disks. */
export type JournalFile = Pick<FileHandle, 'read' | 'write' | 'datasync' | 'stat' | 'close'>;

/** A journal open for writing. One writer per machine at a time; a second one is noticed, not prevented. */
export class OwnershipJournal {
  readonly #file: JournalFile;
  readonly #path: string;
  readonly #records: OwnershipRecord[];
  #bytes: number;
  #broken: TrmigError | null = null;

  private constructor(file: JournalFile, path: string, content: JournalContent) {
    this.#file = file;
    this.#path = path;
    this.#records = [...content.records];
    this.#bytes = content.wholeBytes;
  }

  /**
   * Opens (or makes) a journal; a torn last record is cut off.
   * @throws TrmigError E_JOURNAL_DAMAGED
   */
  static async open(path: string, wrap: (file: FileHandle) => JournalFile = (file) => file): Promise<OwnershipJournal> {
    const file = await openOrMake(path);
    try {
      const content = await readJournal(path);
      if (content.tornBytes > 0) await file.truncate(content.wholeBytes);
      await allocate(file, content.wholeBytes);
      await rewriteLast(file, content.wholeBytes);
      await syncDirectory(dirname(path));
      return new OwnershipJournal(wrap(file), path, content);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  get records(): readonly OwnershipRecord[] {
    return this.#records;
  }

  /**
   * Appends and syncs. Calls must not overlap, also not with `rehearse`.
   * @throws TrmigError E_JOURNAL_WRITE (the record is not there) or E_JOURNAL_UNCERTAIN (it may be).
   */
  async append(record: OwnershipRecord): Promise<void> {
    if (this.#broken !== null) throw this.#broken;
    const line = encodeRecord(record);
    await this.#checkSole(line.length);
    await this.#write(line);
    try {
      await this.#file.datasync();
    } catch (cause) {
      // A failed sync may have dropped the pages and reported it once: no later sync can be believed.
      throw this.#uncertain(cause);
    }
    this.#bytes += line.length;
    this.#records.push(record);
  }

  /** Does to the disk what `append` does, but for the record: writes zeros over zeros, and syncs. For measuring. */
  async rehearse(): Promise<void> {
    if (this.#broken !== null) throw this.#broken;
    try {
      await this.#file.write(Buffer.alloc(rehearsalBytes), 0, rehearsalBytes, this.#bytes);
      await this.#file.datasync();
    } catch (cause) {
      throw this.#uncertain(cause);
    }
  }

  /** Where the next record goes there must be zeros: anything else is another writer's. */
  async #checkSole(length: number): Promise<void> {
    const there = Buffer.alloc(length, 1);
    const { bytesRead } = await this.#file.read(there, 0, length, this.#bytes);
    if (there.subarray(0, bytesRead).every((byte) => byte === 0)) return;
    const facts = { path: this.#path };
    throw new TrmigError('E_JOURNAL_WRITE', `${this.#path} was changed by another process`, { facts });
  }

  async #write(line: Buffer): Promise<void> {
    try {
      const { bytesWritten } = await this.#file.write(line, 0, line.length, this.#bytes);
      if (bytesWritten !== line.length) throw new Error(`only ${bytesWritten} of ${line.length} bytes were written`);
    } catch (cause) {
      try {
        await this.#file.write(Buffer.alloc(line.length), 0, line.length, this.#bytes);
        await this.#file.datasync();
      } catch (second) {
        throw this.#uncertain(second);
      }
      const facts = { path: this.#path };
      throw new TrmigError('E_JOURNAL_WRITE', `${this.#path} could not be written: ${text(cause)}`, { cause, facts });
    }
  }

  #uncertain(cause: unknown): TrmigError {
    const message = `${this.#path} may or may not have been written: ${text(cause)}`;
    this.#broken = new TrmigError('E_JOURNAL_UNCERTAIN', message, { cause, facts: { path: this.#path } });
    return this.#broken;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

/** Zeros beyond the records: room for a migration's records without a new length. */
const aheadBytesMin = 4096;
const aheadBytes = 65_536;
/** More than the longest record: one whose sync failed is the last one, or torn. */
const rewrittenBytes = 4096;
/** About a record's length. */
const rehearsalBytes = 160;

async function openOrMake(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r+');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return open(path, 'wx+', 0o600);
  }
}

/** Makes sure that enough zeros follow the records, and syncs. */
async function allocate(file: FileHandle, wholeBytes: number): Promise<void> {
  const { size } = await file.stat();
  if (size < wholeBytes + aheadBytesMin) {
    const zeros = Buffer.alloc(wholeBytes + aheadBytes - size);
    await file.write(zeros, 0, zeros.length, size);
  }
  await file.sync();
}

const text = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
