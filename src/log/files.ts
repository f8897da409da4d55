// The few file operations that a recording is made of, and what their failures mean. Publishing is: partial name, sync,
// rename, sync the directory; what has its final name is whole.
import { open, rename, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { TrmigError } from '../errors.js';

/** The door through which files are opened; tests put a failing disk behind it. A new file is its owner's alone: it may hold RAM. */
export type OpenFile = (path: string, flags: string) => Promise<FileHandle>;
export const openFile: OpenFile = (path, flags) => open(path, flags, 0o600);

const errnoOf = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;

export const isMissing = (error: unknown): boolean => errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR';
export const isPresent = (error: unknown): boolean => errnoOf(error) === 'EEXIST';

/** What a failed file operation is for a person: E_DISK_FULL or E_FILE_ACCESS, naming the path. */
export function fileError(error: unknown, path: string): TrmigError {
  if (error instanceof TrmigError) return error;
  const errno = errnoOf(error);
  const facts = { path, errno: errno ?? null };
  if (errno === 'ENOSPC' || errno === 'EDQUOT' || errno === 'EFBIG') {
    const what =
      errno === 'ENOSPC' ? 'the disk is full' : errno === 'EDQUOT' ? 'the quota is used up' : 'it is too large';
    return new TrmigError('E_DISK_FULL', `${path} cannot grow: ${what}`, { facts, cause: error });
  }
  const why = error instanceof Error ? error.message : String(error);
  return new TrmigError('E_FILE_ACCESS', `${path}: ${why}`, { facts, cause: error });
}

/** Writes all of `bytes` at `position`. */
export async function writeFully(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, at, bytes.length - at, position + at);
    at += bytesWritten;
  }
}

/** Reads up to `length` bytes at `position`; fewer only at the end of the file. */
export async function readFully(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(bytes, filled, length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}

/** Makes renames and new names in `dir` durable. */
export async function syncDirectory(dir: string): Promise<void> {
  const handle = await open(dir, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Gives a synced file its final name, durably. */
export async function publish(partialPath: string, finalPath: string): Promise<void> {
  await rename(partialPath, finalPath);
  await syncDirectory(dirname(finalPath));
}
