// The envelope around all that a recording keeps, the same for each version of trmig to come:
//
//   0   u32  magic    "TRMR"
//   4   u16  version  of what is inside; a reader refuses one that it does not know
//   6   u16  kind     1 manifest, 2 segment
//   8   u32  headBytes
//   12  u32  bodyBytes
//   16  u64  bodyChecksum   XXH3-64 of the body
//   24  head                a FlatBuffers table of schema/recording.fbs
//   …   u64  checksum       XXH3-64 of everything before it
//   …   body                the stored bytes
//
// Little-endian. The head can be read, and trusted as far as a checksum goes, without the body. All lengths are checked
// against limits before anything of that length is read.
import { TrmigError } from '../errors.js';
import { recordBodyBytesMax, recordHeadBytesMax } from '../limits.js';
import { xxh3 } from '../native/index.js';

/** What is inside is version 1, but for a segment in the encoding `columnar`. (2 is what tests took for the future.) */
export const recordVersion = 1;
export const columnarVersion = 3;
export const recordPrefixBytes = 24;
const magic = 0x524d5254; // "TRMR"

export type RecordKind = 'manifest' | 'segment';
const kindNumbers: Readonly<Record<RecordKind, number>> = { manifest: 1, segment: 2 };
const versions: Readonly<Record<RecordKind, readonly number[]>> = {
  manifest: [recordVersion],
  segment: [recordVersion, columnarVersion],
};

/** Where a record lies, for errors. */
export interface RecordPlace {
  readonly file: string;
  readonly offset: number;
}

export interface RecordPrefix {
  readonly version: number;
  readonly headBytes: number;
  readonly bodyBytes: number;
  readonly bodyChecksum: bigint;
}

export function damaged(place: RecordPlace, why: string, cause?: unknown): TrmigError {
  const message = `${place.file} is damaged at byte ${place.offset}: ${why}`;
  return new TrmigError('E_RECORDING_DAMAGED', message, { facts: { file: place.file, offset: place.offset }, cause });
}

/** A whole record. */
export function encodeRecord(kind: RecordKind, head: Uint8Array, body: Uint8Array, version = recordVersion): Buffer {
  const bodyAt = recordPrefixBytes + head.length + 8;
  const record = Buffer.allocUnsafeSlow(bodyAt + body.length);
  record.writeUInt32LE(magic, 0);
  record.writeUInt16LE(version, 4);
  record.writeUInt16LE(kindNumbers[kind], 6);
  record.writeUInt32LE(head.length, 8);
  record.writeUInt32LE(body.length, 12);
  record.writeBigUInt64LE(xxh3(body), 16);
  record.set(head, recordPrefixBytes);
  record.writeBigUInt64LE(xxh3(record.subarray(0, bodyAt - 8)), bodyAt - 8);
  record.set(body, bodyAt);
  return record;
}

/** Bytes from the record's start to its body. */
export function bodyOffset(prefix: RecordPrefix): number {
  return recordPrefixBytes + prefix.headBytes + 8;
}

/**
 * Reads the fixed part, of which nothing is trusted but that its lengths are bounded.
 * @throws TrmigError E_RECORDING_DAMAGED naming the place.
 */
export function readPrefix(bytes: Buffer, kind: RecordKind, place: RecordPlace): RecordPrefix {
  if (bytes.length < recordPrefixBytes) throw damaged(place, 'it ends inside a record');
  if (bytes.readUInt32LE(0) !== magic) throw damaged(place, `there is no ${kind} (its magic number is missing)`);
  const headBytes = bytes.readUInt32LE(8);
  const bodyBytes = bytes.readUInt32LE(12);
  if (headBytes > recordHeadBytesMax || bodyBytes > recordBodyBytesMax) {
    throw damaged(place, `a record of ${headBytes} + ${bodyBytes} bytes is too large`);
  }
  return { version: bytes.readUInt16LE(4), headBytes, bodyBytes, bodyChecksum: bytes.readBigUInt64LE(16) };
}

/**
 * Checks prefix and head (`bytes` reaches at least to the body) and returns the head.
 * @throws TrmigError E_RECORDING_DAMAGED; E_RECORDING_FORMAT when it is whole but of another version.
 */
export function readHead(bytes: Buffer, prefix: RecordPrefix, kind: RecordKind, place: RecordPlace): Uint8Array {
  const end = recordPrefixBytes + prefix.headBytes;
  if (bytes.length < end + 8) throw damaged(place, 'it ends inside a record');
  if (xxh3(bytes.subarray(0, end)) !== bytes.readBigUInt64LE(end)) {
    throw damaged(place, "the checksum of a record's head does not match");
  }
  if (!versions[kind].includes(prefix.version)) {
    const known = versions[kind].join(' and ');
    const message = `${place.file} is of format ${prefix.version}; this trmig reads ${known} (byte ${place.offset})`;
    const facts = { file: place.file, offset: place.offset, version: prefix.version };
    throw new TrmigError('E_RECORDING_FORMAT', message, { facts });
  }
  const found = bytes.readUInt16LE(6);
  if (found !== kindNumbers[kind]) throw damaged(place, `a record of kind ${found} stands where a ${kind} should`);
  return bytes.subarray(recordPrefixBytes, end);
}

/**
 * Checks the stored body.
 * @throws TrmigError E_RECORDING_DAMAGED.
 */
export function checkBody(body: Uint8Array, prefix: RecordPrefix, place: RecordPlace): void {
  if (body.length !== prefix.bodyBytes) throw damaged(place, 'it ends inside a record');
  if (xxh3(body) !== prefix.bodyChecksum) throw damaged(place, "the checksum of a record's body does not match");
}
