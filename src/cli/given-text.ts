// A text that a person hands over: a file, or - for the standard input (which over ssh is a socket, and has no name to open).
import { createReadStream } from 'node:fs';
import { TrmigError } from '../errors.js';

/**
 * @param bytesMax more is not read: a device never ends
 * @throws TrmigError E_FILE_ACCESS, E_USAGE when it is longer
 */
export async function givenText(file: string, bytesMax: number): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const piece of file === '-' ? process.stdin : createReadStream(file)) {
      pieces.push(piece as Buffer);
      bytes += (piece as Buffer).length;
      if (bytes > bytesMax) break;
    }
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new TrmigError('E_FILE_ACCESS', `cannot read ${file}: ${code}`, { cause, facts: { path: file, code } });
  }
  if (bytes > bytesMax) throw new TrmigError('E_USAGE', `${file} is longer than the ${bytesMax} bytes that are read`);
  return Buffer.concat(pieces).toString('utf8');
}
