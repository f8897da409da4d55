// Two hosts for a test: two state directories in one temporary folder, QEMUs, receivers, and an end that leaves nothing of
// them behind, whether the test passes, fails or is killed.
// Invariants: a folder whose test passed is removed, one whose test failed is kept and named; no process outlives its test.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { Home, Machine, parseSpec, type Architecture, type MachineSpec } from '../../src/machine/index.js';
import { receive, type ReceiveOptions, type Receiver } from '../../src/migrate/receiver.js';
import type { DestinationResult } from '../../src/migrate/destination.js';
import type { DestinationPhase } from '../../src/migrate/destination-states.js';
import { waitForLines } from './console.js';
import { killThoseOf, processesOf, type FolderProcess } from './folder-processes.js';

/** Why tests with real guests cannot run here; false when they can. For tap's `skip`. */
export const withoutGuests: string | false = ((): string | false => {
  const missing = [guestFile('x86_64', 'vmlinuz'), guestFile('aarch64', 'vmlinuz')].find((file) => !existsSync(file));
  return missing === undefined ? false : `there is no ${missing}: run make guests`;
})();

/** A minute is ten times what a test needs when nothing else runs: nothing here fails because the host is slow. */
export const generously = { timeout: 600_000, skip: withoutGuests };

export interface Stage {
  readonly t: Test;
  /** Short: sockets live in it. */
  readonly folder: string;
  readonly a: Home;
  readonly b: Home;
}

const prefix = 'trmig-sys-';

/** Makes the folder and sees to its end. */
export function stage(t: Test): Stage {
  sweepStale();
  const folder = mkdtempSync(path.join(os.tmpdir(), `${prefix}${process.pid}-`));
  const guard = spawn(process.execPath, [fileURLToPath(new URL('guard.js', import.meta.url)), folder], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  guard.unref();
  t.teardown(async () => {
    killThoseOf(folder);
    await until('its processes have ended', () => processesOf(folder).length === 0);
    guard.stdin.destroy();
    if (t.passing()) rmSync(folder, { recursive: true, force: true });
    else console.error(`# '${t.fullname}' failed: its machines' logs and journals are in ${folder}`);
  });
  return { t, folder, a: new Home(path.join(folder, 'a')), b: new Home(path.join(folder, 'b')) };
}

/** Folders of tests that were killed, with their guards. Folders that were kept for a person stay for a day. */
function sweepStale(): void {
  for (const name of readdirSync(os.tmpdir())) {
    const pid = new RegExp(`^${prefix}(\\d+)-`).exec(name)?.[1];
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    const folder = path.join(os.tmpdir(), name);
    killThoseOf(folder);
    if (Date.now() - statSync(folder).mtimeMs > 24 * 3_600_000) rmSync(folder, { recursive: true, force: true });
  }
}

export type Workload = 'idle' | 'hotset' | 'compile' | 'alu' | 'diskwriter' | 'shell';

export interface GuestOptions {
  readonly workload: Workload;
  /** x86_64 when left out. */
  readonly arch?: Architecture;
  readonly name?: string;
  /** 256M when left out. */
  readonly memory?: string;
  /** Of `hotset`; 64 when left out. */
  readonly hotsetMib?: number;
  /** More words of the kernel's command line. */
  readonly append?: string;
  readonly disks?: readonly object[];
  readonly nics?: readonly object[];
}

/** The spec of a Linux guest. */
export function guestSpec(options: GuestOptions): MachineSpec {
  const { workload, arch = 'x86_64', name = 'm', memory = '256M', hotsetMib, append = '', disks, nics } = options;
  const more = `${hotsetMib === undefined ? '' : ` hotset_mib=${hotsetMib}`} ${append}`.trimEnd();
  const spec = {
    name,
    arch,
    memory,
    kernel: guestFile(arch, 'vmlinuz'),
    initrd: guestFile(arch, 'initramfs.cpio.gz'),
    append: `console=${arch === 'x86_64' ? 'ttyS0' : 'ttyAMA0'} quiet workload=${workload}${more}`,
    disks,
    nics,
  };
  return parseSpec(JSON.stringify(spec), { base: '/', source: 'test' });
}

/** A file of the guest that `make guests` built. */
export function guestFile(arch: Architecture, name: string): string {
  return path.resolve('out/guests', arch, name);
}

/** Starts a guest and waits until its workload has written some lines. */
export async function boot(home: Home, options: GuestOptions, lines = 3): Promise<Machine> {
  const machine = await Machine.start(guestSpec(options), { home });
  if (options.workload !== 'shell') await waitForLines(machine.consoleLog, lines);
  return machine;
}

export interface TestReceiver extends Receiver {
  /** How each machine came in. */
  readonly results: DestinationResult[];
  readonly phases: DestinationPhase['at'][];
}

/** A receiver in this process, closed at the test's end. */
export async function receiver(t: Test, home: Home, more: Partial<ReceiveOptions> = {}): Promise<TestReceiver> {
  const results: DestinationResult[] = [];
  const phases: DestinationPhase['at'][] = [];
  const receiving = await receive({
    home,
    host: '127.0.0.1',
    port: 0,
    onPhase: (phase) => phases.push(phase.at),
    onMachine: (result) => results.push(result),
    ...more,
  });
  t.teardown(() => receiving.close());
  return { ...receiving, results, phases };
}

/** Waits until something is so; the test's own time limit is the only one. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let waitedMs = 0; !(await holds()); waitedMs += 20) {
    if (waitedMs % 60_000 === 0 && waitedMs > 0) console.error(`# still waiting: ${what}`);
    await sleep(20);
  }
}

/** Waits likewise, and no longer than `patienceMs`: then it throws. */
export function patience(patienceMs: number): typeof until {
  return async (what, holds) => {
    const untilMs = performance.now() + patienceMs;
    while (!(await holds())) {
      if (performance.now() > untilMs) throw new Error(`after ${patienceMs / 1000} s not yet: ${what}`);
      await sleep(20);
    }
  };
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const kept = ['catalog.db', 'console.log', 'disks.json', 'ownership.log', 'qemu.log', 'qemu.log.old', 'spec.json'];

/** The processes of a host's machines. */
export function processesHere(home: Home): FolderProcess[] {
  return processesOf(home.root).filter(({ argv }) => argv[0]?.includes('qemu-system') === true);
}

/** What a host holds that a machine which does not run there has no use for: processes, sockets, temporary files. */
export function leftOn(home: Home): string[] {
  const files = existsSync(home.root) ? readdirSync(home.root, { recursive: true, encoding: 'utf8' }) : [];
  const strange = files.filter(
    (file) =>
      !kept.includes(path.basename(file)) &&
      statSync(path.join(home.root, file), { throwIfNoEntry: false })?.isDirectory() === false,
  );
  const processes = processesOf(home.root).map(({ pid, argv }) => `process ${pid}: ${argv[0] ?? ''}`);
  return [...strange, ...processes];
}

/** `departing.json`: a source that was killed leaves its name, which means nothing any more. */
const running = ['qmp.sock', 'tracer.sock', 'console.sock', 'qemu.pid', 'process.json', 'departing.json'];

/** The same of a host on which the machine runs, as process `pid`. */
export function leftBeside(home: Home, pid: number): string[] {
  return leftOn(home).filter((left) => !running.includes(path.basename(left)) && !left.startsWith(`process ${pid}:`));
}
