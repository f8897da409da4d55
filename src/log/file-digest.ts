// The digest of a file of any size in bounded memory: XXH3-128 over the XXH3-64s (little-endian) of its 1 MiB chunks. Part
// of a recording's format; it tells accidents, not forgers.
import { TrmigError } from '../errors.js';
import { digestChunkBytes } from '../limits.js';
import { xxh128, xxh3 } from '../native/index.js';
import { fileError, openFile, readFully } from './files.js';

export interface FileDigest {
  readonly bytes: number;
  /** 32 lower-case hex digits. */
  readonly digest: string;
}

export interface DigestOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called with the bytes read since the last call. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

/**
 * Reads a file to its end.
 * @throws TrmigError E_FILE_ACCESS, E_ABORTED.
 */
export async function digestFile(path: string, options: DigestOptions = {}): Promise<FileDigest> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    const file = await openFile(path, 'r');
    try {
      for (let more = true; more;) {
        if (options.signal?.aborted) throw new TrmigError('E_ABORTED', `reading ${path} was cancelled`);
        const chunk = await readFully(file, bytes, digestChunkBytes);
        more = chunk.length === digestChunkBytes;
        if (chunk.length === 0) break;
        const part = Buffer.alloc(8);
        part.writeBigUInt64LE(xxh3(chunk));
        chunks.push(part);
        bytes += chunk.length;
        options.onProgress?.(chunk.length);
      }
    } finally {
      await file.close();
    }
  } catch (error) {
    throw fileError(error, path);
  }
  return { bytes, digest: xxh128(Buffer.concat(chunks)) };
}
