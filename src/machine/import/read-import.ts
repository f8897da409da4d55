// Reads what is to be imported, bounded: a file, a pipe or a device that never ends.
import { open } from 'node:fs/promises';
import { TrmigError } from '../../errors.js';
import { importBytesMax } from '../../limits.js';
import { checkLength } from './from-qemu.js';

const pieceBytes = 64 * 1024;

/** A file's text. @throws E_FILE_ACCESS, E_USAGE when it is longer than importBytesMax */
export async function readImport(file: string): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  try {
    const handle = await open(file, 'r');
    try {
      // One byte more than allowed is enough to know.
      while (bytes <= importBytesMax) {
        const { bytesRead, buffer } = await handle.read(Buffer.alloc(pieceBytes), 0, pieceBytes, null);
        if (bytesRead === 0) break;
        pieces.push(buffer.subarray(0, bytesRead));
        bytes += bytesRead;
      }
    } finally {
      await handle.close();
    }
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new TrmigError('E_FILE_ACCESS', `cannot read ${file}: ${code}`, { cause, facts: { path: file, code } });
  }
  checkLength(bytes);
  return Buffer.concat(pieces).toString('utf8');
}
