// What a cell works with: two hosts, a guest that writes numbered lines to its console and records to its disk, and a source and
// a receiver as processes of their own that can be held.
import { execFile, execFileSync, spawn } from 'node:child_process';
import { cpSync, existsSync, lstatSync, mkdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import path from 'node:path';
import type { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { QmpClient, type Home } from '../../src/machine/index.js';
import { readJournal } from '../../src/migrate/journal.js';
import { currentOwner } from '../../src/migrate/ownership.js';
import { Child } from '../system/child.js';
import { Transcript, consoleText, waitForLines } from '../system/console.js';
import { boot, processesHere, until } from '../system/stage.js';

const memoryMib = 128;
/** Its journal and its table come to 40 MiB of it. */
const diskMib = 96;
/** A host holds the disk, and a table more in each layer of the moves before. */
const hostMib = 512;

/** A child that can be held. */
export class Holdable extends Child {
  static start(script: 'sender-process.js' | 'receiver-process.js', args: readonly string[]): Holdable {
    const file = fileURLToPath(new URL(script, import.meta.url));
    return new Holdable(spawn(process.execPath, [file, ...args], { stdio: ['pipe', 'pipe', 'inherit', 'pipe'] }));
  }

  get isGone(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }

  /** Whether it stands still at this phase, with nothing done in it. */
  isHeldAt(at: string): boolean {
    return this.said.some((message) => message['held'] === at);
  }

  /** Says a word to one that is held. */
  tell(word: 'go' | 'cancel' | 'cancel-twice'): void {
    const words = this.process.stdio[3] as Writable;
    words.on('error', () => undefined);
    words.write(`${word}\n`);
  }

  /** How its session ended; undefined while it goes on. */
  get result(): string | undefined {
    return this.said.find((message) => 'result' in message)?.['result'] as string | undefined;
  }

  get lastPhase(): string | undefined {
    return this.said.findLast((message) => 'phase' in message)?.['phase'] as string | undefined;
  }

  /** What it said of its failure. */
  get why(): string {
    const { code, why } = (this.said.find((message) => 'code' in message) ?? {}) as { code?: string; why?: string };
    return code === undefined ? '' : `${code} ${why ?? ''}`;
  }
}

/** Two hosts and a guest that is moved between them for as long as it lives. */
export class Hosts {
  /** Where the guest is. */
  at: Home | null = null;
  #transcript = new Transcript();

  constructor(
    readonly folder: string,
    readonly a: Home,
    readonly b: Home,
  ) {}

  get source(): Home {
    return this.at ?? this.a;
  }

  get destination(): Home {
    return this.source === this.a ? this.b : this.a;
  }

  get text(): string {
    return this.#transcript.text;
  }

  /** Boots a new guest at host a, unless one is left from the cell before. */
  async boot(): Promise<void> {
    if (this.at !== null) return;
    const file = path.join(this.folder, 'data.raw');
    writeFileSync(file, '');
    truncateSync(file, diskMib * 1024 * 1024);
    execFileSync('/sbin/mkfs.ext4', ['-q', '-F', '-O', '^has_journal', file]);
    this.#transcript = new Transcript();
    this.#transcript.arrives(this.a, sizeOf(this.a));
    const disks = [{ file, format: 'raw' }];
    const machine = await boot(
      this.a,
      { workload: 'diskwriter', memory: `${memoryMib}M`, append: 'disk_rate=20', disks },
      3,
    );
    machine.close();
    this.at = this.a;
  }

  /** The console's length at a host before the guest may come there. */
  mark(home: Home): number {
    return sizeOf(home);
  }

  arrived(home: Home, from: number): void {
    this.#transcript.arrives(home, from);
    this.at = home;
  }

  /** The pid of a host's QEMU; null for none. */
  qemuOf(home: Home): number | null {
    return processesHere(home)[0]?.pid ?? null;
  }

  /** Ends what is left of a guest, with all that was known of it: the next one is another. */
  forget(): void {
    for (const home of [this.a, this.b]) {
      for (const { pid } of processesHere(home)) process.kill(pid, 'SIGKILL');
      rmSync(home.machines, { recursive: true, force: true });
    }
    this.at = null;
  }

  /** Ends the guest's QEMUs; what its hosts have of it stays beside them when a person is to see it. */
  end({ keep }: { readonly keep: boolean }): void {
    for (const home of [this.a, this.b]) {
      for (const { pid } of processesHere(home)) process.kill(pid, 'SIGKILL');
      if (keep) keepOf(home.root);
    }
  }

  /** The guest says what is on its disk, having compared it with what it wrote. */
  async verifies(home: Home): Promise<boolean> {
    const { consoleSocket, consoleLog } = home.machine('m');
    const after = consoleText(consoleLog).length;
    const console = createConnection(consoleSocket);
    console.on('error', () => undefined);
    console.write('verify\n');
    const said = (): string => consoleText(consoleLog).slice(after);
    await until('the guest has looked at its disk', () => /verify: ok \d+ records.*\n|CORRUPT/.test(said()));
    console.destroy();
    return !said().includes('CORRUPT');
  }

  async goesOn(home: Home): Promise<void> {
    await waitForLines(home.machine('m').consoleLog, 3);
  }
}

function sizeOf(home: Home): number {
  return statSync(home.machine('m').consoleLog, { throwIfNoEntry: false })?.size ?? 0;
}

export interface Ran {
  readonly code: number;
  readonly stdout: string;
}

/** Runs a command of trmig's with a state directory. */
export type Trmig = (home: Home, ...args: string[]) => Promise<Ran>;

/** A command of trmig's, as a person types it. */
export function trmig(home: Home, ...args: string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['bin/trmig.js', ...args, '--home', home.root], (error, stdout) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout });
    });
  });
}

/** What `trmig status --json` says of the guest on a host. */
export interface Shown {
  readonly state: 'running' | 'stopped' | 'dead' | 'unknown';
  readonly runs: boolean;
  readonly mode: string | null;
  readonly leaseMs: number;
  readonly owner: 'here' | 'there' | null;
  readonly record: string | null;
  readonly role: string | null;
  readonly command: string | null;
}

const unknown: Shown = {
  state: 'unknown',
  runs: false,
  mode: null,
  leaseMs: 0,
  owner: 'there',
  record: null,
  role: null,
  command: null,
};

interface StatusJson {
  readonly state: Shown['state'];
  readonly tracer: { readonly running: boolean; readonly mode: string; readonly leaseMs: number | null } | null;
  readonly ownership: {
    readonly owner: Shown['owner'];
    readonly last: { readonly state: string; readonly role: string } | null;
    readonly advice: { readonly command: string | null } | null;
  };
}

export async function statusOf(home: Home, run: Trmig = trmig): Promise<Shown> {
  if (!existsSync(home.machine('m').folder)) return unknown;
  const { stdout } = await run(home, 'status', 'm', '--json');
  const said = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as StatusJson | { readonly error: object };
  if ('error' in said) return unknown;
  const { state, tracer, ownership } = said;
  return {
    state,
    runs: tracer?.running === true,
    mode: tracer?.mode ?? null,
    leaseMs: tracer?.leaseMs ?? 0,
    owner: ownership.last === null && state !== 'running' ? 'there' : ownership.owner,
    record: ownership.last?.state ?? null,
    role: ownership.last?.role ?? null,
    command: ownership.advice?.command ?? null,
  };
}

/** QEMU stops a guest that writes to a full disk. Whoever has made room lets it go on, where it is. */
export async function goOnWithRoom(home: Home): Promise<void> {
  const { ownership, qmpSocket } = home.machine('m');
  if (processesHere(home).length === 0 || currentOwner((await readJournal(ownership)).records) === 'there') return;
  const qmp = await QmpClient.connect(qmpSocket);
  try {
    if ((await qmp.status()).status === 'io-error') await qmp.execute('cont');
  } finally {
    qmp.close();
  }
}

/** A small file system for a host's state, which a cell can fill; `false` where tests may not mount. */
export function mountSmall(folder: string, sizeMib = hostMib): boolean {
  mkdirSync(folder, { recursive: true });
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeMib}m`, 'trmig-test', folder], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Copies what is on such a file system beside it, before it goes. */
export function keepOf(folder: string): void {
  cpSync(folder, `${folder}-kept`, {
    recursive: true,
    filter: (file) => lstatSync(file).isFile() || lstatSync(file).isDirectory(),
  });
}
