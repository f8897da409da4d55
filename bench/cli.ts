// trmig's command line on a host of the benchmark's, as a person there would use it.
import type { ChildProcess, StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { KeyRing } from '../src/keys/index.js';
import { Home } from '../src/machine/index.js';
import type { Host } from './hosts.js';

/** trmig's command line on one host, with that host's own state directory. */
export class Cli {
  constructor(
    readonly host: Host,
    readonly home: string,
  ) {}

  async prepare(): Promise<void> {
    await mkdir(this.home, { recursive: true, mode: 0o700 });
  }

  /** Runs a command to its end on this process's terminal, as a person sees it. @throws when it fails */
  async show(args: readonly string[]): Promise<void> {
    const [code] = (await once(this.#spawn(args, 'inherit'), 'close')) as [number | null];
    if (code !== 0) throw new Error(`trmig ${args.join(' ')} failed`);
  }

  start(args: readonly string[]): ChildProcess {
    const child = this.#spawn([...args, '--json'], ['ignore', 'pipe', 'pipe']);
    // What a failed run said is worth more than the failure: it stays beside the state directory.
    const log = createWriteStream(`${this.home}.${args[0]!}.log`);
    child.stdout!.pipe(log, { end: false });
    child.stderr!.pipe(log, { end: false });
    child.once('close', () => log.end());
    return child;
  }

  /** Runs a command to its end and returns what it wrote. @throws when it fails, unless it may */
  async run(args: readonly string[], options: { mayFail?: boolean } = {}): Promise<string> {
    const child = this.start(args);
    let said = '';
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-64 * 1024)));
    }
    const [code] = (await once(child, 'close')) as [number | null];
    if (code !== 0 && options.mayFail !== true) throw new Error(`trmig ${args.join(' ')}: ${said.trim()}`);
    return said;
  }

  #spawn(args: readonly string[], stdio: StdioOptions): ChildProcess {
    const env = { ...process.env, TRMIG_HOME: this.home };
    return this.host.spawn(process.execPath, [path.resolve('bin/trmig.js'), ...args], { env, stdio });
  }
}

/** Makes a key for each host and has all trust each other, as `trmig keys init` and `trmig keys trust` do. */
export async function exchangeKeys(hosts: readonly Cli[]): Promise<void> {
  const rings = hosts.map(({ home }) => new KeyRing(new Home(home)));
  const certificates = await Promise.all(rings.map((ring) => ring.init({ renew: false })));
  for (const [i, { pem }] of certificates.entries()) {
    // All these hosts have the name of this machine.
    const options = { source: 'keys show', name: hosts[i]!.host.name, replace: false };
    for (const ring of rings) if (ring !== rings[i]) await ring.trust(pem, options);
  }
}

/** Waits until something on the host listens on the port, without knocking at it. */
export async function listening(host: Host, receiver: ChildProcess, port: number): Promise<void> {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  for (let tries = 0; tries < 1000; tries++) {
    const rows = (await readFile(`/proc/${host.guardPid}/net/tcp`, 'utf8')).split('\n').map((row) => row.split(/\s+/));
    if (rows.some(([, , local, , state]) => local?.endsWith(wanted) === true && state === '0A')) return;
    if (receiver.exitCode !== null) throw new Error(`trmig receive ended with status ${receiver.exitCode}`);
    await sleep(20);
  }
  throw new Error('trmig receive does not listen');
}
