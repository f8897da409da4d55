// Two hosts on one machine, joined by a link of a known rate: each host is a set of namespaces (network, processes, mounts),
// the link a pair of virtual Ethernet interfaces, shaped at both ends by a token bucket.
//
// Invariants:
// - A host lives exactly as long as its guard (its first process), and the guard as long as a pipe from this process is
//   open. However this process ends, the kernel closes the pipe, and with the guard everything on the host and the link is
//   gone: there is never anything stale to clean up.
// - Nothing is ever named in the machine's own network: the link is made inside one host, its far end in the other.
import { execFile, spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The rates a link can be shaped to, as tc writes them, with the bytes a second that they stand for. */
export const LINKS = { '1gbit': 125_000_000, '100mbit': 12_500_000 } as const;
export type LinkName = keyof typeof LINKS;

const interfaceName = 'link0';
const guardMsMax = 5_000;

export class Host {
  constructor(
    readonly name: string,
    /** The host's address on the link. */
    readonly address: string,
    private readonly guard: ChildProcess,
    /** The guard's process id, as this machine sees it. */
    readonly guardPid: number,
  ) {}

  /** The command line that runs a command on this host. */
  command(program: string, args: readonly string[]): [string, string[]] {
    return ['nsenter', ['--target', String(this.guardPid), '--net', '--pid', '--mount', '--', program, ...args]];
  }

  /** Starts a program on this host. It ends with the host at the latest. */
  spawn(program: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
    return spawn(...this.command(program, args), options);
  }

  /** Runs a program on this host to its end. @throws when it fails, with what it said */
  async exec(program: string, args: readonly string[]): Promise<string> {
    return (await run(...this.command(program, args))).stdout;
  }

  /** Bytes this host has sent on the link, headers included. */
  async sentBytes(): Promise<number> {
    const table = await readFile(`/proc/${this.guardPid}/net/dev`, 'utf8');
    const line = table.split('\n').find((row) => row.trim().startsWith(`${interfaceName}:`));
    if (line === undefined) throw new Error(`host ${this.name} has no link`);
    return Number(line.split(':')[1]!.trim().split(/\s+/)[8]);
  }

  /** Ends everything on this host. */
  async close(): Promise<void> {
    if (this.guard.exitCode !== null || this.guard.signalCode !== null) return;
    const ended = once(this.guard, 'exit');
    this.guard.stdin!.end();
    await ended;
  }
}

export interface HostPair {
  readonly a: Host;
  readonly b: Host;
  readonly link: LinkName;
  /** Bytes both hosts have sent to each other so far. */
  linkBytes(): Promise<number>;
  close(): Promise<void>;
}

/**
 * Makes two hosts and the link between them. Needs root, and iproute2 and util-linux.
 * @throws when the namespaces or the link cannot be made
 */
export async function makeHosts(link: LinkName): Promise<HostPair> {
  if (process.getuid?.() !== 0) throw new Error('two hosts on one machine need root: run this with sudo');
  const a = await startHost('a', '10.77.0.1');
  const b = await startHost('b', '10.77.0.2');
  const close = async (): Promise<void> => {
    await Promise.all([a.close(), b.close()]);
  };
  try {
    const ends = ['type', 'veth', 'peer', 'name', interfaceName, 'netns', String(b.guardPid)];
    // The far end is put into b by the pid that this machine, not host a, knows: enter a's network only.
    await run('nsenter', ['--target', String(a.guardPid), '--net', 'ip', 'link', 'add', interfaceName, ...ends]);
    await Promise.all([raise(a, link), raise(b, link)]);
    await ready(a, b);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    a,
    b,
    link,
    linkBytes: async () => (await a.sentBytes()) + (await b.sentBytes()),
    close,
  };
}

async function startHost(name: string, address: string): Promise<Host> {
  // The first process of a process namespace inherits its orphans; with SIGCHLD ignored the kernel reaps them.
  const first = ['env', '--ignore-signal=CHLD', 'cat'];
  const flags = ['--net', '--pid', '--mount', '--fork', '--kill-child', '--mount-proc'];
  // Detached: a Ctrl-C reaches this process, which decides what ends when.
  const guard = spawn('unshare', [...flags, ...first], { stdio: ['pipe', 'ignore', 'inherit'], detached: true });
  await once(guard, 'spawn');
  const until = Date.now() + guardMsMax;
  for (;;) {
    if (guard.exitCode !== null) throw new Error(`no host ${name}: unshare ended with status ${guard.exitCode}`);
    const children = await readFile(`/proc/${guard.pid}/task/${guard.pid}/children`, 'utf8').catch(() => '');
    const pid = Number(children.trim());
    // Once it is cat, the mounts are in place.
    if (pid > 0 && (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trim() === 'cat') {
      return new Host(name, address, guard, pid);
    }
    if (Date.now() > until) {
      guard.stdin.end();
      throw new Error(`no host ${name}: its first process did not start within ${guardMsMax} ms`);
    }
    await sleep(5);
  }
}

async function raise(host: Host, link: LinkName): Promise<void> {
  await host.exec('ip', ['link', 'set', 'lo', 'up']);
  await host.exec('ip', ['address', 'add', `${host.address}/24`, 'dev', interfaceName]);
  await host.exec('ip', ['link', 'set', interfaceName, 'up']);
  // The bucket holds a few of the largest packets that the kernel hands down whole, no more: the rate holds from the first
  // millisecond on.
  const shape = ['rate', link, 'burst', '256kb', 'latency', '50ms'];
  await host.exec('tc', ['qdisc', 'add', 'dev', interfaceName, 'root', 'tbf', ...shape]);
}

async function ready(a: Host, b: Host): Promise<void> {
  for (let tries = 0; ; tries++) {
    const state = JSON.parse(await a.exec('ip', ['-json', 'link', 'show', interfaceName])) as { operstate: string }[];
    if (state[0]?.operstate === 'UP') return;
    if (tries > 100) throw new Error(`the link between ${a.address} and ${b.address} does not come up`);
    await sleep(20);
  }
}
