// Follows a text file that grows, as `tail -f` does. The file may not be there yet, and may be begun anew.
import { open, type FileHandle } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

const pollMs = 50;
const chunkBytes = 64 * 1024;

export interface FollowOptions {
  /** How many of the last lines to begin with; Infinity for all. */
  readonly lines: number;
  readonly follow: boolean;
  readonly signal: AbortSignal;
}

/** The last lines, and then what is appended until the signal fires. A file that is not there is empty. */
export async function* followFile(path: string, options: FollowOptions): AsyncGenerator<Buffer> {
  let position: number | null = null;
  while (!options.signal.aborted) {
    const file = await open(path, 'r').catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    });
    if (file !== null) {
      try {
        const { size } = await file.stat();
        position ??= await lastLinesAt(file, size, options.lines);
        if (size < position) position = 0;
        for (;;) {
          const { bytesRead, buffer } = await file.read(Buffer.alloc(chunkBytes), 0, chunkBytes, position);
          if (bytesRead === 0) break;
          position += bytesRead;
          yield buffer.subarray(0, bytesRead);
        }
      } finally {
        await file.close();
      }
    }
    if (!options.follow) return;
    position ??= 0;
    await delay(pollMs, undefined, { signal: options.signal }).catch(() => undefined);
  }
}

/** Where the last `lines` lines begin. A last line without its newline counts as one. */
async function lastLinesAt(file: FileHandle, size: number, lines: number): Promise<number> {
  if (!Number.isFinite(lines)) return 0;
  if (lines <= 0) return size;
  let newlines = 0;
  for (let end = size; end > 0;) {
    const start = Math.max(0, end - chunkBytes);
    const { buffer } = await file.read(Buffer.alloc(end - start), 0, end - start, start);
    for (let at = buffer.length - 1; at >= 0; at--) {
      // The newline at the very end closes the last line and begins none.
      if (buffer[at] !== 0x0a || start + at === size - 1) continue;
      newlines += 1;
      if (newlines === lines) return start + at + 1;
    }
    end = start;
  }
  return 0;
}
