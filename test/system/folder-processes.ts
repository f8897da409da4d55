// The processes of a test: those whose command line names its folder. QEMUs are started detached, and a child process of a
// killed test has no parent to ask, so nothing but their arguments tells whose they are.
// So it is with file systems that a test has mounted there.
// Invariant: a folder is a test's own (made by `mkdtemp`), so that nobody else's process can name it.
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';

export interface FolderProcess {
  readonly pid: number;
  readonly argv: readonly string[];
}

/** The live processes that name `folder` or something in it, but for this one and guards. */
export function processesOf(folder: string): FolderProcess[] {
  if (!folder.startsWith('/') || folder.length < 8) throw new Error(`'${folder}' is no test's folder`);
  const found: FolderProcess[] = [];
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const argv = argumentsOf(pid);
    if (argv.some((argument) => argument.includes('guard.js'))) continue;
    if (argv.some((argument) => argument.includes(`${folder}/`) || argument.endsWith(folder))) {
      found.push({ pid, argv });
    }
  }
  return found;
}

/** Kills them, by their numbers. */
export function killThoseOf(folder: string): void {
  for (const { pid } of processesOf(folder)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
}

/** Of a zombie: none. */
function argumentsOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

/** Unmounts what is mounted on `folder` or in it. */
export function unmountThoseOf(folder: string): void {
  for (const line of readFileSync('/proc/mounts', 'utf8').split('\n')) {
    const place = line.split(' ')[1] ?? '';
    if (place === folder || place.startsWith(`${folder}/`)) execFileSync('umount', ['-l', place]);
  }
}
