// The guest that every tool gets: the same kernel, the same workload, the same memory, and the same QEMU command line but for
// the one thing that is compared.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { access, mkdir, readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
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

export const WORKLOADS = ['idle', 'hotset', 'compile', 'alu'] as const;
export type Workload = (typeof WORKLOADS)[number];

const quitMsMax = 5_000;
const guests = path.resolve('out/guests/x86_64');

/** A spec as a person would write it; also what is given to `trmig run`. */
export function guestSpec(name: string, workload: Workload, memory: string): Record<string, unknown> {
  return {
    name,
    memory,
    kernel: path.join(guests, 'vmlinuz'),
    initrd: path.join(guests, 'initramfs.cpio.gz'),
    append: `console=ttyS0 quiet workload=${workload}`,
  };
}

/** @throws when `make guests` has not been run */
export async function requireGuest(): Promise<void> {
  await access(path.join(guests, 'vmlinuz')).catch(() => {
    throw new Error(`there is no guest in ${guests}: run make guests`);
  });
}

export interface QemuOptions {
  readonly folder: string;
  readonly workload: Workload;
  readonly memory: string;
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
    const { folder, workload, memory, tracer, extra = [], host } = options;
    const spec = checkSpec(guestSpec('guest', workload, memory), { base: folder, source: 'the benchmark' });
    const paths = new Home(folder).machine('guest');
    await mkdir(paths.folder, { recursive: true });
    const qemu = await findQemu(spec);
    const args = [...qemuArguments(spec, { paths, tracer, paused: false, disks: [] }), ...extra];
    const log = openSync(paths.qemuLog, 'w');
    const [program, all] = host ? host.command(qemu.binary, args) : [qemu.binary, args];
    const child = spawn(program, all, { stdio: ['ignore', log, log] });
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
