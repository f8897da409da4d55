// What two hosts compare to find out whether one holds the beginning of the other's log: a digest of the first segments, by
// where each ends and its payload's checksum. It tells accidents, not forgers.
import { xxh128 } from '../native/index.js';
import type { RecordingReader } from './recording-reader.js';
import type { SegmentHeader } from './segment.js';

export interface LogDigest {
  readonly segments: number;
  readonly digest: string;
  /** The last of them; null for none. */
  readonly last: SegmentHeader | null;
}

/**
 * The digest of a recording's first `count` segments, all of them when left out; null when there are fewer.
 * @throws TrmigError E_RECORDING_*, E_FILE_ACCESS, E_ABORTED
 */
export async function digestLog(
  reader: RecordingReader,
  options: { readonly count?: number; readonly signal?: AbortSignal | undefined } = {},
): Promise<LogDigest | null> {
  const { count = Infinity, signal } = options;
  let digest = '0'.repeat(32);
  let segments = 0;
  let last: SegmentHeader | null = null;
  if (count > 0) {
    for await (const { header } of reader.headers({ signal })) {
      const line = Buffer.alloc(32);
      line.write(digest, 'hex');
      line.writeBigUInt64LE(BigInt(header.to), 16);
      line.writeBigUInt64LE(header.checksum, 24);
      digest = xxh128(line);
      segments += 1;
      last = header;
      if (segments === count) break;
    }
  }
  if (segments < count && count !== Infinity) return null;
  return { segments, digest, last };
}
