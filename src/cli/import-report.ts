// An imported spec as a command tells it: the spec on stdout or in a file, a table of what became of everything on stderr.
import { writeFile } from 'node:fs/promises';
import { TrmigError } from '../errors.js';
import type { ImportFinding } from '../index.js';
import type { Style } from './style.js';
import { tableLines } from './table.js';

/** Of a cell; --json has the whole text. */
const cellCharsMax = 46;

/** Kept, changed, refused: what, what the spec has for it, why. */
export function findingLines(findings: readonly ImportFinding[], style: Style): string[] {
  const columns = [{ title: '' }, { title: 'INPUT' }, { title: 'SPEC' }, { title: 'WHY' }];
  const rows = findings.map(({ input, verdict, spec, reason }) => [
    verdict,
    cut(input),
    cut(spec ?? '-'),
    reason ?? '',
  ]);
  const paint = { kept: style.good, changed: style.warning, refused: style.bad };
  return tableLines(columns, rows).map((line) =>
    line.replace(/^(kept|changed|refused)\b/, (verdict) => paint[verdict as keyof typeof paint](verdict)),
  );
}

/** In the middle: an option's beginning and a path's end say most. */
function cut(text: string): string {
  if (text.length <= cellCharsMax) return text;
  const half = (cellCharsMax - 1) / 2;
  return `${text.slice(0, Math.ceil(half))}…${text.slice(text.length - Math.floor(half))}`;
}

/** Writes a spec where no file is yet. @throws E_FILE_ACCESS */
export async function writeNewFile(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, text, { flag: 'wx' });
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
    const why = code === 'EEXIST' ? 'it is there already' : code;
    throw new TrmigError('E_FILE_ACCESS', `cannot write ${file}: ${why}`, { cause, facts: { path: file, code } });
  }
}
