// A folder for targets that read files: in memory where the system has such a place, gone with the process, or with the next one
// after a process that was killed.
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export function scratchFolder(): string {
  const root = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
  for (const name of readdirSync(root)) {
    const pid = /^trmig-fuzz-(\d+)-/.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) rmSync(join(root, name), { recursive: true, force: true });
  }
  const folder = mkdtempSync(join(root, `trmig-fuzz-${process.pid}-`));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
