// The guest that every tool gets: the same kernel, the same workload, the same memory, and the same QEMU command line but for
// the one thing that is compared.
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { access, mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import {
  Home,
  QmpClient,
  checkSpec,
  findQemu,
  qemuArguments,
  type MachinePaths,
  type MachineSpec,
} from '../src/machine/index.js';
import type { Host } from './hosts.js';
import { chainOf, stockArguments } from './stock.js';

export const WORKLOADS = ['idle', 'hotset', 'compile', 'alu', 'diskwriter', 'echo'] as const;
export type Workload = (typeof WORKLOADS)[number];

/** Those whose guests have neither disk nor nic. */
export const LONE_WORKLOADS = ['idle', 'hotset', 'compile', 'alu'] as const satisfies readonly Workload[];
/** Those that are moved: `alu` moves as `compile` does. */
export const MOVED_WORKLOADS = [
  'idle',
  'hotset',
  'compile',
  'diskwriter',
  'echo',
] as const satisfies readonly Workload[];

/** The guest with a nic: where its clients find it. */
export const guestNic = { interface: 'tap0', mac: '52:54:00:77:00:10', address: '10.77.0.10', port: 7 } as const;

const quitMsMax = 5_000;
const guests = path.resolve('out/guests/x86_64');

/** What a workload asks for beside its name. */
const parameters: Readonly<Partial<Record<Workload, string>>> = {
  // 1.6 MB/s of records, each on the disk within a sixth of a second: more than the slower link would like to carry twice.
  diskwriter: 'disk_rate=200',
  echo: `ip4=${guestNic.address}/24`,
};

export interface GuestOptions {
  readonly workload: Workload;
  /** As a spec has it, `256M`. */
  readonly memory: string;
  /** The disk's file, for a workload that has one (`makeDisk`). */
  readonly disk?: string;
  /** Whether the guest beats (fixtures/guests): so that it is seen from outside when it stands still. */
  readonly beats?: boolean;
}

/** A spec as a person would write it; also what is given to `trmig run`. */
export function guestSpec(name: string, options: GuestOptions): Record<string, unknown> {
  const { workload, memory, disk, beats = false } = options;
  const words = [`workload=${workload}`, ...(parameters[workload]?.split(' ') ?? []), ...(beats ? ['beat=5'] : [])];
  return {
    name,
    memory,
    kernel: path.join(guests, 'vmlinuz'),
    initrd: path.join(guests, 'initramfs.cpio.gz'),
    append: ['console=ttyS0 quiet', ...words].join(' '),
    ...(disk !== undefined && { disks: [{ file: disk, format: 'raw' }] }),
    ...(workload === 'echo' && { nics: [{ backend: 'tap', interface: guestNic.interface, mac: guestNic.mac }] }),
  };
}

/** Bytes of `diskwriter`'s disk. */
export const diskBytes = 64 * 1024 * 1024;

/** Makes the disk that a guest is started with: an empty ext4 file system. */
export async function makeDisk(file: string): Promise<void> {
  await writeFile(file, '');
  await promisify(execFile)('/sbin/mkfs.ext4', ['-q', '-F', file, `${diskBytes / 1024}k`]);
}

/** @throws when `make guests` has not been run */
export async function requireGuest(): Promise<void> {
  await access(path.join(guests, 'vmlinuz')).catch(() => {
    throw new Error(`there is no guest in ${guests}: run make guests`);
  });
}

export interface QemuOptions extends GuestOptions {
  readonly folder: string;
  /** The tracer's shared object; null for a QEMU without it. */
  readonly tracer: string | null;
  readonly extra?: readonly string[];
  /** Where it runs; this machine itself when left out. */
  readonly host?: Host;
}

/** A QEMU that the benchmark started itself, as a child: it ends with the benchmark's own cleaning up. */
export class Qemu {
  private constructor(
    readonly spec: MachineSpec,
    readonly paths: MachinePaths,
    readonly qmp: QmpClient,
    private readonly child: ChildProcess,
  ) {}

  /** @throws when it does not answer, with what it said */
  static async start(options: QemuOptions): Promise<Qemu> {
    const { folder, tracer, extra = [], host } = options;
    const spec = checkSpec(guestSpec('guest', options), { base: folder, source: 'the benchmark' });
    const paths = new Home(folder).machine('guest');
    await mkdir(paths.folder, { recursive: true });
    const qemu = await findQemu(spec);
    const disks = spec.disks.map(({ file }) => chainOf(file));
    const all = qemuArguments(spec, { paths, tracer, paused: false, disks });
    const args = [...(tracer === null ? stockArguments(all) : all), ...extra];
    const log = openSync(paths.qemuLog, 'w');
    const [program, words] = host ? host.command(qemu.binary, args) : [qemu.binary, args];
    const child = spawn(program, words, { stdio: ['ignore', log, log] });
    closeSync(log);
    try {
      const qmp = await connected(paths, child);
      return new Qemu(spec, paths, qmp, child);
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
  }

  /** QEMU's process id as this machine sees it. Only for one that runs on this machine itself. */
  get pid(): number {
    return this.child.pid!;
  }

  /** CPU time that all of QEMU's threads have used so far, in ns. */
  async cpuNs(): Promise<number> {
    const tasks = `/proc/${this.pid}/task`;
    const used = await Promise.all(
      (await readdir(tasks)).map(async (task) => {
        const text = await readFile(`${tasks}/${task}/schedstat`, 'utf8').catch(() => '0');
        return Number(text.split(' ')[0]);
      }),
    );
    return used.reduce((sum, ns) => sum + ns, 0);
  }

  /** Ends it, waiting until it has ended. */
  async quit(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const ended = once(this.child, 'exit');
      const late = setTimeout(() => this.child.kill('SIGKILL'), quitMsMax);
      await this.qmp.execute('quit').catch(() => this.child.kill('SIGKILL'));
      await ended;
      clearTimeout(late);
    }
    this.qmp.close();
  }
}

async function connected(paths: MachinePaths, child: ChildProcess): Promise<QmpClient> {
  for (let tries = 0; ; tries++) {
    try {
      return await QmpClient.connect(paths.qmpSocket, { timeoutMs: 10_000 });
    } catch (error) {
      if (child.exitCode !== null) {
        throw new Error(`QEMU ended at once: ${(await readFile(paths.qemuLog, 'utf8')).trim()}`, { cause: error });
      }
      if (tries > 500) throw error;
      await sleep(20);
    }
  }
}
