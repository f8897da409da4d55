// Starting QEMU so that it outlives the command that started it: own session, output to qemu.log, and it counts as started
// only when its sockets answer. A start that fails leaves no process and no stale socket, and says what QEMU said.
//
// States that an outsider can see in the machine's folder:
//   start.lock            a command is starting or stopping it
//   qemu.pid, no process.json   it is starting, or the command died while it was: found again by its command line
//   qemu.pid + process.json     it was started; whether it lives, only /proc tells
//   neither               it ended in order
import { spawn, type ChildProcess } from 'node:child_process';
import { open, readFile, rename, unlink } from 'node:fs/promises';
import { TrmigError, asTrmigError } from '../errors.js';
import { qemuLogTailBytes, qemuLogTailLines, qemuStartMsMax } from '../limits.js';
import { qemuArguments } from './arguments.js';
import type { DiskChain } from './disk-chain.js';
import type { MachinePaths } from './home.js';
import { findQemuProcess, type ProcessIdentity, writeIdentity } from './process.js';
import { QmpClient } from './qmp.js';
import type { FoundQemu } from './qemu.js';
import type { MachineSpec } from './spec-schema.js';
import { TracerClient } from './tracer.js';

export interface LaunchOptions {
  readonly spec: MachineSpec;
  readonly paths: MachinePaths;
  readonly qemu: FoundQemu;
  /** The tracer's shared object; null starts plain QEMU. */
  readonly tracer: string | null;
  readonly paused: boolean;
  readonly offline?: boolean;
  readonly disks: readonly DiskChain[];
  readonly topsOnly?: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
}

const pollMs = 10;

/**
 * Starts QEMU in an existing folder, under the start lock.
 * @throws E_QEMU_START with QEMU's last lines, E_QEMU_VERSION, E_MACHINE_EXISTS, E_ABORTED; QEMU is gone then
 */
export async function launchQemu(options: LaunchOptions): Promise<ProcessIdentity> {
  const { paths, qemu, timeoutMs = qemuStartMsMax } = options;
  // Not the pid file: should another QEMU hold its lock after all, this one must find it held.
  await Promise.all([paths.tracerSocket, paths.process].map(remove));
  const child = await spawnDetached(qemu.binary, qemuArguments(options.spec, options), paths.qemuLog);
  const late = AbortSignal.timeout(timeoutMs);
  const signal = options.signal ? AbortSignal.any([options.signal, late]) : late;
  try {
    await answering(options, child, signal);
    const identity = await findQemuProcess(paths);
    if (!identity) throw new TrmigError('E_QEMU_START', `QEMU answers, but ${paths.pid} does not lead to it`);
    await writeIdentity(paths.process, identity);
    child.unref();
    return identity;
  } catch (cause) {
    await killChild(child);
    if (asTrmigError(cause).code !== 'E_MACHINE_EXISTS') await clearLeftovers(paths);
    if (options.signal?.aborted) throw new TrmigError('E_ABORTED', `starting '${paths.name}' was cancelled`, { cause });
    if (!late.aborted) throw cause;
    const why = asTrmigError(cause).message;
    throw await startError(paths, `it did not answer within ${timeoutMs} ms: ${why}`, cause);
  }
}

/** Removes what a QEMU that is gone left behind: sockets, pid file, the note of its process. Logs stay. */
export async function clearLeftovers(paths: MachinePaths): Promise<void> {
  const files = [paths.qmpSocket, paths.tracerSocket, paths.consoleSocket, paths.pid, paths.process];
  await Promise.all(files.map(remove));
}

/** The last lines of a machine's qemu.log. */
export async function qemuLogTail(paths: MachinePaths): Promise<string[]> {
  const log = await readFile(paths.qemuLog).catch(() => Buffer.alloc(0));
  const text = log.subarray(-qemuLogTailBytes).toString('utf8');
  return text
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line !== '')
    .slice(-qemuLogTailLines);
}

async function spawnDetached(binary: string, args: string[], logFile: string): Promise<ChildProcess> {
  await rename(logFile, `${logFile}.old`).catch(ignoreMissing);
  const log = await open(logFile, 'a', 0o600);
  try {
    const child = spawnPrivately(binary, args, log.fd);
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', (cause) =>
        reject(
          new TrmigError('E_QEMU_START', `${binary} cannot be run: ${cause.message}`, { cause, facts: { binary } }),
        ),
      );
    });
    return child;
  } finally {
    await log.close();
  }
}

/** QEMU's sockets, logs and pid file are its owner's alone, whatever the caller's umask is. */
function spawnPrivately(binary: string, args: string[], log: number): ChildProcess {
  const before = process.umask(0o077);
  try {
    return spawn(binary, args, { detached: true, stdio: ['ignore', log, log] });
  } finally {
    process.umask(before);
  }
}

/** Waits until all sockets answer; throws when QEMU ends first or the signal fires. */
async function answering(options: LaunchOptions, child: ChildProcess, signal: AbortSignal): Promise<void> {
  const { paths, qemu } = options;
  const version = await untilConnected(paths, child, signal, async () => {
    const qmp = await QmpClient.connect(paths.qmpSocket, { signal });
    qmp.close();
    return qmp.version;
  });
  const found = `${version.major}.${version.minor}.${version.micro}`;
  if (found !== qemu.version) {
    const message = `${qemu.binary} said it is QEMU ${qemu.version}, and what it started is ${found}`;
    throw new TrmigError('E_QEMU_VERSION', message, { facts: { binary: qemu.binary, found, wanted: qemu.version } });
  }
  if (options.tracer === null) return;
  await untilConnected(paths, child, signal, async () => {
    const tracer = await TracerClient.connect(paths.tracerSocket, { signal });
    try {
      await tracer.hello({ signal });
    } finally {
      tracer.close();
    }
  });
}

async function untilConnected<T>(
  paths: MachinePaths,
  child: ChildProcess,
  signal: AbortSignal,
  attempt: () => Promise<T>,
): Promise<T> {
  for (;;) {
    if (hasEnded(child)) throw await endedError(paths, child);
    try {
      return await attempt();
    } catch (cause) {
      const { code } = asTrmigError(cause);
      const notYet = /^E_(QMP|TRACER)_(CONNECT|CLOSED)$/.test(code);
      if (signal.aborted || (!notYet && !hasEnded(child))) throw cause;
    }
    // The exit of a process that closed its socket is noticed a moment later.
    await pause(pollMs, child);
  }
}

function pause(ms: number, child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      child.removeListener('exit', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    child.once('exit', done);
  });
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

async function endedError(paths: MachinePaths, child: ChildProcess): Promise<TrmigError> {
  const tail = await qemuLogTail(paths);
  if (tail.some((line) => line.includes('Cannot lock pid file') || line.includes('cannot lock pid file'))) {
    return new TrmigError('E_MACHINE_EXISTS', `another QEMU holds ${paths.pid}`, { facts: { name: paths.name } });
  }
  const how = child.signalCode === null ? `it exited with ${child.exitCode}` : `it was killed by ${child.signalCode}`;
  return startError(paths, how);
}

async function startError(paths: MachinePaths, how: string, cause?: unknown): Promise<TrmigError> {
  const tail = await qemuLogTail(paths);
  const said = tail.length === 0 ? ' It said nothing.' : `\n${tail.map((line) => `  ${line}`).join('\n')}`;
  return new TrmigError('E_QEMU_START', `QEMU did not start '${paths.name}': ${how}.${said}`, {
    cause,
    hint: `Read what QEMU said above; the full text is in ${paths.qemuLog}.`,
    facts: { name: paths.name, log: paths.qemuLog, said: tail.at(-1) ?? '' },
  });
}

async function killChild(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGKILL');
  await ended;
}

async function remove(file: string): Promise<void> {
  await unlink(file).catch(ignoreMissing);
}

function ignoreMissing(cause: NodeJS.ErrnoException): void {
  if (cause.code !== 'ENOENT') throw cause;
}
