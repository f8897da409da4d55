// Which process is this machine's QEMU? A pid alone does not say: pids are reused, hosts reboot. A process is believed to be
// ours only when its command line names our pid file and, where we have noted them, its start time and boot agree.
//
// Invariant: no signal is sent to a process that was not identified in the same call.
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { durable } from './durable.js';
import type { MachinePaths } from './home.js';

/** What identifies a process for as long as the host lives. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks between boot and the process's start. */
  readonly startTicks: number;
  readonly boot: string;
}

const identitySchema = z.object({
  pid: z.number().int().positive(),
  startTicks: z.number().int().nonnegative(),
  boot: z.string(),
});

/**
 * A live process's identity and arguments; null when there is none, or only a zombie. A killed process whose first thread has
 * ended lives while others, held up by a disk, have its files open still; it has no arguments any more.
 */
export async function inspectProcess(pid: number): Promise<{ identity: ProcessIdentity; argv: string[] } | null> {
  try {
    const [stat, cmdline, boot] = await Promise.all([
      readFile(`/proc/${pid}/stat`, 'latin1'),
      readFile(`/proc/${pid}/cmdline`, 'utf8'),
      readFile('/proc/sys/kernel/random/boot_id', 'latin1'),
    ]);
    // The second field is the command's name in parentheses and may hold anything; the fields after it are plain.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const startTicks = Number(fields[19]);
    const ended = fields[0] === 'X' || (fields[0] === 'Z' && Number(fields[17]) <= 1);
    if (ended || !Number.isSafeInteger(startTicks)) return null;
    return { identity: { pid, startTicks, boot: boot.trim() }, argv: cmdline.split('\0').slice(0, -1) };
  } catch {
    return null;
  }
}

/** The machine's live QEMU, or null. */
export async function findQemuProcess(paths: MachinePaths): Promise<ProcessIdentity | null> {
  const [noted, pidFile] = await Promise.all([readIdentity(paths.process), readPid(paths.pid)]);
  for (const pid of new Set([pidFile, noted?.pid ?? null])) {
    if (pid === null) continue;
    const found = await inspectProcess(pid);
    if (!found || !namesPidFile(found.argv, paths.pid)) continue;
    if (noted && noted.pid === pid && !sameProcess(noted, found.identity)) continue;
    return found.identity;
  }
  return null;
}

export function sameProcess(a: ProcessIdentity, b: ProcessIdentity): boolean {
  return a.pid === b.pid && a.startTicks === b.startTicks && a.boot === b.boot;
}

/** Whether that very process still lives. */
export async function isAlive(identity: ProcessIdentity): Promise<boolean> {
  const found = await inspectProcess(identity.pid);
  return found !== null && sameProcess(found.identity, identity);
}

/** Sends a signal to that very process; false when it is gone. */
export async function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): Promise<boolean> {
  if (!(await isAlive(identity))) return false;
  try {
    process.kill(identity.pid, signal);
    return true;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw cause;
  }
}

/** Notes the launched process for later commands. */
export async function writeIdentity(file: string, identity: ProcessIdentity): Promise<void> {
  await durable(file, `${JSON.stringify(identity)}\n`);
}

/** The noted process; null when there is no note, or none that can be read: the pid file and the command line still tell. */
export async function readIdentity(file: string): Promise<ProcessIdentity | null> {
  try {
    return identitySchema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch {
    return null;
  }
}

async function readPid(file: string): Promise<number | null> {
  try {
    const pid = Number((await readFile(file, 'latin1')).trim());
    return Number.isSafeInteger(pid) && pid > 0 ? pid : null;
  } catch {
    return null;
  }
}

function namesPidFile(argv: readonly string[], pidFile: string): boolean {
  return argv.some((argument, i) => argument === '-pidfile' && argv[i + 1] === pidFile);
}
