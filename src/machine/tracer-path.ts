// Where the tracer's shared object is: TRMIG_TRACER, else native/tracer/build of the installation that this file belongs to.
import { access } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { TrmigError } from '../errors.js';

const built = 'native/tracer/build/trmig-tracer.so';

/** @throws E_TRACER_MISSING */
export async function findTracer(env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const named = env['TRMIG_TRACER'];
  const tried = named ? [path.resolve(named)] : ancestors(path.dirname(fileURLToPath(import.meta.url)));
  for (const file of tried) {
    if (await exists(file)) return file;
  }
  const what = named
    ? `TRMIG_TRACER names ${tried[0]}, which is not there`
    : `there is no ${built} in this installation`;
  throw new TrmigError('E_TRACER_MISSING', what, { facts: { path: named ?? built } });
}

/** The sources compile to dist/ and, for tests, build/src/: the root is a few folders up. */
function ancestors(folder: string): string[] {
  return [2, 3].map((levels) => path.join(folder, ...Array<string>(levels).fill('..'), built));
}

async function exists(file: string): Promise<boolean> {
  try {
    await access(file);
    return true;
  } catch {
    return false;
  }
}
