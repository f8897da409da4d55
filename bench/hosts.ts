// Hosts on one machine that share nothing but a network: each host is a set of namespaces (network, processes, mounts). Two
// or three hosts run machines; one more is where the clients of their guests live. All are joined by a switch, which is
// a bridge in a set of namespaces of its own; the links of the former to it have a known rate, shaped at both ends by a token
// bucket. On a host the link is a port of a bridge `br0`, which carries the host's address: a guest's tap is another port.
//
// Invariants:
// - A host lives exactly as long as its guard (its first process), and the guard as long as a pipe from this process is
//   open. However this process ends, the kernel closes the pipe, and with the guard everything on the host and the link is
//   gone: there is never anything stale to clean up.
// - Nothing is ever named in the machine's own network: a link is made inside the switch, its far end in the host.
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
const bridgeName = 'br0';
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
  /** Where the guests' clients live, on a link that is not shaped. Its address is like the hosts'. */
  readonly client: Host;
  readonly link: LinkName;
  /** Bytes the hosts have sent so far, but for the client: to each other, and what their guests sent. */
  linkBytes(): Promise<number>;
  close(): Promise<void>;
}

export interface HostRing extends HostPair {
  readonly c: Host;
}

/**
 * Makes two hosts, a client, and the network between them. Needs root, and iproute2 and util-linux.
 * @throws when the namespaces or the links cannot be made
 */
export async function makeHosts(link: LinkName): Promise<HostPair> {
  return make(link, ['10.77.0.1', '10.77.0.2']);
}

/** The same with three hosts. @throws as makeHosts */
export async function makeRing(link: LinkName): Promise<HostRing> {
  const hosts = await make(link, ['10.77.0.1', '10.77.0.2', '10.77.0.4']);
  return { ...hosts, c: hosts.more[0]! };
}

/** Hosts a, b and so on, one for each address. */
async function make(link: LinkName, addresses: readonly string[]): Promise<HostPair & { readonly more: Host[] }> {
  if (process.getuid?.() !== 0) throw new Error('several hosts on one machine need root: run this with sudo');
  const all: Host[] = [];
  const start = async (name: string, address: string): Promise<Host> => {
    const host = await startHost(name, address);
    all.push(host);
    return host;
  };
  const close = async (): Promise<void> => {
    await Promise.all(all.map((host) => host.close()));
  };
  try {
    const theSwitch = await start('switch', '');
    await makeBridge(theSwitch);
    const hosts: Host[] = [];
    for (const [i, address] of addresses.entries()) hosts.push(await start('abc'[i]!, address));
    const client = await start('client', '10.77.0.3');
    for (const host of [...hosts, client]) await plug(theSwitch, host, host === client ? null : link);
    await Promise.all([...hosts, client].map(ready));
    const linkBytes = async (): Promise<number> => {
      const sent = await Promise.all(hosts.map((host) => host.sentBytes()));
      return sent.reduce((sum, bytes) => sum + bytes, 0);
    };
    const [a, b, ...more] = hosts as [Host, Host, ...Host[]];
    return { a, b, more, client, link, linkBytes, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Gives a host a tap device for a guest's nic, as a port of the host's bridge. */
export async function addTap(host: Host, name: string): Promise<void> {
  await host.exec('ip', ['tuntap', 'add', 'dev', name, 'mode', 'tap']);
  await host.exec('ip', ['link', 'set', name, 'master', bridgeName, 'up']);
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

async function makeBridge(host: Host): Promise<void> {
  await host.exec('ip', ['link', 'set', 'lo', 'up']);
  // Ports forward at once: there is no loop to look for.
  await host.exec('ip', ['link', 'add', bridgeName, 'type', 'bridge', 'stp_state', '0', 'forward_delay', '0']);
  await host.exec('ip', ['link', 'set', bridgeName, 'up']);
}

/** Joins a host to the switch. */
async function plug(theSwitch: Host, host: Host, link: LinkName | null): Promise<void> {
  const port = `to-${host.name}`;
  await makeBridge(host);
  // The far end is put into the host by the pid that this machine, not the switch, knows: enter the switch's network only.
  const ends = [port, 'type', 'veth', 'peer', 'name', interfaceName, 'netns', String(host.guardPid)];
  await run('nsenter', ['--target', String(theSwitch.guardPid), '--net', 'ip', 'link', 'add', ...ends]);
  await theSwitch.exec('ip', ['link', 'set', port, 'master', bridgeName, 'up']);
  await host.exec('ip', ['link', 'set', interfaceName, 'master', bridgeName, 'up']);
  await host.exec('ip', ['address', 'add', `${host.address}/24`, 'dev', bridgeName]);
  if (link === null) return;
  await shape(theSwitch, port, link);
  await shape(host, interfaceName, link);
}

async function shape(host: Host, device: string, link: LinkName): Promise<void> {
  // The bucket holds a few of the largest packets that the kernel hands down whole, no more: the rate holds from the first
  // millisecond on.
  const bucket = ['rate', link, 'burst', '256kb', 'latency', '50ms'];
  await host.exec('tc', ['qdisc', 'add', 'dev', device, 'root', 'tbf', ...bucket]);
}

async function ready(host: Host): Promise<void> {
  for (let tries = 0; ; tries++) {
    const state = JSON.parse(await host.exec('ip', ['-json', 'link', 'show', bridgeName])) as { operstate: string }[];
    if (state[0]?.operstate === 'UP') return;
    if (tries > 100) throw new Error(`the network of host ${host.name} does not come up`);
    await sleep(20);
  }
}
