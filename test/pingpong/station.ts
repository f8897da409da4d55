// One of the two hosts of the soak: its state directory, its receiver, and what is on it that should not be.
import { execFile } from 'node:child_process';
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { Cli, listening } from '../../bench/cli.js';
import type { Host } from '../../bench/hosts.js';
import { TracerClient, readDisks, type Home, type TracerStatus } from '../../src/machine/index.js';
import type { Ran } from '../faults/hosts.js';
import { leftBeside, leftOn, processesHere } from '../system/stage.js';
import { CommandProcess } from './command-process.js';

export const port = 7600;

/** How long a receiver or a QEMU is, in bytes and descriptors. */
export interface Size {
  readonly residentBytes: number;
  readonly descriptors: number;
}

export class Station {
  readonly cli: Cli;
  #receiver: CommandProcess | null = null;
  /** Machines that the receiver has been offered. */
  #offers = 0;
  readonly #pidNamespace: string | null;
  readonly #mounts: readonly string[];
  readonly #links: string;

  private constructor(
    readonly host: Host,
    readonly home: Home,
    links: string,
  ) {
    this.cli = new Cli(host, home.root);
    this.#pidNamespace = namespaceOf(host.guardPid, 'pid');
    this.#mounts = this.#mountsNow();
    this.#links = links;
  }

  /** Of a host that has its taps already. */
  static async at(host: Host, home: Home): Promise<Station> {
    const station = new Station(host, home, await linksOf(host));
    await station.cli.prepare();
    return station;
  }

  get name(): string {
    return this.host.name;
  }

  /** Its receiver, which is started unless it lives. */
  async receiver(): Promise<CommandProcess> {
    if (this.#receiver?.isGone === false) return this.#receiver;
    const child = this.cli.start(['receive', '--listen', `${this.host.address}:${port}`]);
    this.#receiver = await CommandProcess.of(child);
    this.#offers = 0;
    await listening(this.host, child, port);
    return this.#receiver;
  }

  /** The receiver is about to be offered a machine. */
  countOffer(): void {
    this.#offers++;
  }

  /** A command of trmig's that a person types here. */
  trmig(...args: string[]): Promise<Ran> {
    const [program, words] = this.host.command(process.execPath, [path.resolve('bin/trmig.js'), ...args]);
    return new Promise((resolve) => {
      execFile(program, [...words, '--home', this.home.root], (error, stdout) => {
        resolve({ code: error === null ? 0 : Number(error.code), stdout });
      });
    });
  }

  /** Its QEMUs, as this machine sees them. */
  get qemus(): number[] {
    return processesHere(this.home).map(({ pid }) => pid);
  }

  /** What the tracer of its QEMU says; null for no QEMU, undefined when it does not answer. */
  async tracer(): Promise<TracerStatus | null | undefined> {
    if (this.qemus.length === 0) return null;
    try {
      const tracer = await TracerClient.connect(this.home.machine('m').tracerSocket);
      return await tracer.status({ timeoutMs: 5_000 }).finally(() => tracer.close());
    } catch {
      return undefined;
    }
  }

  /** How large the receiver is, and how many offers it has had. */
  receiverSize(): (Size & { readonly offers: number }) | null {
    if (this.#receiver === null || this.#receiver.isGone) return null;
    return { ...sizeOf(this.#receiver.ownPid), offers: this.#offers };
  }

  /** Processes beside `qemus` and the receiver, in namespaces that are not the host's, mounts that came, links that came or went. */
  async strangers(qemus: readonly number[]): Promise<string[]> {
    const known = [this.host.guardPid, this.#receiver?.ownPid, ...qemus];
    const strangers: string[] = [];
    for (const pid of this.#processes()) {
      if (!known.includes(pid)) strangers.push(`process ${pid} on ${this.name}: ${commandOf(pid)}`);
      for (const kind of ['net', 'mnt']) {
        const [own, hosts] = [pid, this.host.guardPid].map((one) => namespaceOf(one, kind));
        if (own !== null && own !== hosts)
          strangers.push(`process ${pid} on ${this.name} is in another ${kind} namespace`);
      }
    }
    const mounts = this.#mountsNow().filter((mount) => !this.#mounts.includes(mount));
    strangers.push(...mounts.map((mount) => `mount ${mount} on ${this.name}`));
    const links = await linksOf(this.host);
    if (links !== this.#links) strangers.push(`the links of ${this.name} are ${links}, not ${this.#links}`);
    return strangers;
  }

  /** Whether something of the host's lives still, after it has ended. */
  get lives(): boolean {
    return this.#processes().length > 0;
  }

  #processes(): number[] {
    return readdirSync('/proc')
      .map(Number)
      .filter((pid) => pid > 0 && namespaceOf(pid, 'pid') === this.#pidNamespace);
  }

  /** The number and the place of each. Those that other tests had when this one began may go. */
  #mountsNow(): string[] {
    const lines = readFileSync(`/proc/${this.host.guardPid}/mountinfo`, 'utf8').split('\n');
    return lines.map((line) => line.split(' ')).map(([id, , , , place]) => `${id} ${place}`);
  }

  /** The files of a host that are of no use to it; `qemu` is that of the machine that lives there. */
  async uselessFiles(qemu: number | null): Promise<string[]> {
    const own = (await this.layers()).map((file) => path.relative(this.home.root, file));
    const left = qemu === null ? leftOn(this.home) : leftBeside(this.home, qemu);
    return left.filter((one) => !own.includes(one) && !one.startsWith('keys/')).map((one) => `${this.name}: ${one}`);
  }

  get fileCount(): number {
    return readdirSync(this.home.root, { recursive: true }).length;
  }

  /** The files of the machine's layers here. */
  async layers(): Promise<string[]> {
    const disks = (await readDisks(this.home.machine('m'))) ?? [];
    return disks.flatMap(({ layers }) => layers.map(({ file }) => file));
  }
}

export function sizeOf(pid: number): Size {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return {
    residentBytes: Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) * 1024,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
  };
}

/** null for a process that has ended. */
function namespaceOf(pid: number, kind: string): string | null {
  try {
    return readlinkSync(`/proc/${pid}/ns/${kind}`);
  } catch {
    return null;
  }
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').slice(0, 200);
  } catch {
    return 'it has ended';
  }
}

async function linksOf(host: Host): Promise<string> {
  const links = JSON.parse(await host.exec('ip', ['-json', 'link'])) as { readonly ifname: string }[];
  return links.map(({ ifname }) => ifname).join(' ');
}
