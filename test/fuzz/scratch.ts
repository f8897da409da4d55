// A folder for targets that read files, in memory where the system has such a place. libFuzzer ends a process without a word to it:
// whoever comes next clears away what was left.
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

export function scratchFolder(): string {
  clearScratch();
  const folder = mkdtempSync(join(root, `trmig-fuzz-${process.pid}-`));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Of processes that have ended. */
export function clearScratch(): void {
  for (const name of readdirSync(root)) {
    const pid = /^trmig-fuzz-(\d+)-/.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) rmSync(join(root, name), { recursive: true, force: true });
  }
}
