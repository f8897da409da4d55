// Where the soak is played: two hosts that share nothing but a network, a third one with the guest's client and the link that can
// be spoilt, and the guest, which writes to its disk and keeps a store for the client.
// Invariant: the hosts end with the test's process, however that ends, and with them all that ran there.
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { exchangeKeys } from '../../bench/cli.js';
import { addTap, makeHosts, type HostPair } from '../../bench/hosts.js';
import { exportDisk, findQemuImg } from '../../src/disk/index.js';
import { findQemu, formatSpec, readDisks } from '../../src/machine/index.js';
import { repetition } from '../faults/cell.js';
import { keepOf, mountSmall } from '../faults/hosts.js';
import { Child } from '../system/child.js';
import { Transcript, consoleText, counters, discontinuity, waitForLines } from '../system/console.js';
import { unmountThoseOf } from '../system/folder-processes.js';
import { guestSpec, patience, stage, until } from '../system/stage.js';
import { Station } from './station.js';

const guestAddress = '10.77.0.10';
const storePort = 8;
const diskMib = 96;
/** Of a host's state directory, which can be filled: room for the disk, and for the layers that are not merged yet. */
const homeMib = 448;
/** Longer than anything here may take. */
export const within = patience(240_000);

interface Found {
  readonly sent: number;
  readonly answered: number;
  readonly stored: number;
  readonly longestMs: number;
  readonly problem: string | null;
}

export class Field {
  #transcript = new Transcript();
  /** Where the guest is. */
  at: Station;
  #client: Child | null = null;

  private constructor(
    readonly folder: string,
    readonly hosts: HostPair,
    readonly a: Station,
    readonly b: Station,
  ) {
    this.at = a;
  }

  /** Makes the hosts; they end with the test, and the folder stays when it has failed. @throws where it may not */
  static async make(t: Test): Promise<Field> {
    const { folder, a: homeA, b: homeB } = stage(t);
    const roots = [homeA.root, homeB.root];
    if (!roots.every((root) => mountSmall(root, homeMib))) throw new Error('the hosts need file systems of their own');
    const hosts = await makeHosts('1gbit');
    t.teardown(async () => {
      await hosts.close();
      // What is on these file systems goes with them.
      if (!t.passing()) roots.forEach(keepOf);
      unmountThoseOf(folder);
    });
    for (const host of [hosts.a, hosts.b]) await addTap(host, 'tap0');
    const [a, b] = [await Station.at(hosts.a, homeA), await Station.at(hosts.b, homeB)];
    await exchangeKeys([a.cli, b.cli]);
    return new Field(folder, hosts, a, b);
  }

  get stations(): readonly [Station, Station] {
    return [this.a, this.b];
  }

  /** Where it is not. */
  get other(): Station {
    return this.at === this.a ? this.b : this.a;
  }

  /** Starts receivers, the guest on host a, and its client. */
  async boot(): Promise<void> {
    for (const station of this.stations) await station.receiver();
    const file = path.join(this.folder, 'data.raw');
    writeFileSync(file, '');
    truncateSync(file, diskMib * 1024 * 1024);
    // A file system's own journal would write three times what the guest does.
    execFileSync('/sbin/mkfs.ext4', ['-q', '-F', '-O', '^has_journal', file]);
    const spec = guestSpec({
      workload: 'diskwriter',
      memory: '128M',
      append: `disk_rate=20 services=store ip4=${guestAddress}/24`,
      disks: [{ file, format: 'raw' }],
      nics: [{ backend: 'tap', interface: 'tap0', mac: '52:54:00:77:00:10' }],
    });
    const specFile = path.join(this.folder, 'spec.json');
    writeFileSync(specFile, formatSpec(spec));
    this.#transcript.arrives(this.a.home);
    await this.a.cli.run(['run', specFile]);
    await waitForLines(this.a.home.machine('m').consoleLog, 3);
    this.#client = this.start('store-client.js', [guestAddress, String(storePort)]);
    await this.#client.says('connected');
  }

  /** The guest runs on the other host, whose console had so many bytes before. */
  arrived(consoleBytes: number): void {
    this.at = this.other;
    this.#transcript.arrives(this.at.home, consoleBytes);
  }

  /** What is wrong with what the guest has said since the last look; null for nothing. Of a full disk, lines may be missing. */
  checkConsole(options: { readonly mayLackLines: boolean }): string | null {
    const problem = (options.mayLackLines ? repetition : discontinuity)(this.#transcript.text);
    const log = consoleText(this.at.home.machine('m').consoleLog);
    this.#transcript = new Transcript();
    this.#transcript.arrives(this.at.home, log.slice(0, log.lastIndexOf('\n')).lastIndexOf('\ncount ') + 1);
    return problem;
  }

  /** Starts a script of the test's beside the client, on neither of the two hosts. */
  start(script: string, args: readonly string[]): Child {
    const file = fileURLToPath(new URL(script, import.meta.url));
    return new Child(
      this.hosts.client.spawn(process.execPath, [file, ...args], { stdio: ['pipe', 'pipe', 'inherit'] }),
    );
  }

  get proxyAddress(): string {
    return this.hosts.client.address;
  }

  /** Until the guest has said some more. @throws when it does not */
  async guestGoesOn(): Promise<void> {
    const lines = (): number => counters(consoleText(this.at.home.machine('m').consoleLog)).length;
    const wanted = lines() + 3;
    await within('the guest goes on', () => lines() >= wanted);
  }

  /** Until the client has an answer to what it sends from now on. @throws when what it got was not what it sent */
  async clientGoesOn(): Promise<void> {
    const last = (): { sent?: number; answered?: number; problem?: string | null } => this.#client?.said.at(-1) ?? {};
    const { sent = 0 } = last();
    await within(
      'the client is answered',
      () => (last().answered ?? 0) > sent + 1 || (last().problem ?? null) !== null,
    );
    const problem = last().problem ?? null;
    if (problem !== null) throw new Error(`the client: ${problem}`);
  }

  /** The client hangs up and says what it found. */
  async endClient(): Promise<Found> {
    const client = this.#client!;
    client.process.stdin!.end();
    return (await client.says('result'))['result'] as Found;
  }

  /** Says a word to the guest, and waits for the answer. @throws when the guest finds its data wrong */
  async ask(word: string, answer: RegExp): Promise<void> {
    const { consoleSocket, consoleLog } = this.at.home.machine('m');
    const after = consoleText(consoleLog).length;
    const said = (): string => consoleText(consoleLog).slice(after);
    const console = createConnection(consoleSocket);
    console.on('error', () => undefined);
    console.write(`${word}\n`);
    await within(`the guest answers '${word}'`, () => answer.test(said()) || said().includes('CORRUPT'));
    console.destroy();
    if (said().includes('CORRUPT')) throw new Error(`the guest: ${/CORRUPT.*/.exec(said())![0]}`);
  }

  /** The guest powers off, and its disk's file system is clean. @throws when it is not */
  async end(): Promise<void> {
    await this.ask('quit', /\/data is unmounted/);
    await until('the guest has powered off', () => this.at.qemus.length === 0);
    const qemuImg = await findQemuImg(await findQemu({ arch: 'x86_64', qemu: { version: '10.0' } }));
    const content = path.join(this.folder, 'content.raw');
    await exportDisk(qemuImg, (await readDisks(this.at.home.machine('m')))![0]!, content);
    execFileSync('/sbin/fsck.ext4', ['-fn', content], { stdio: 'pipe' });
  }

  /** A new folder for a report. */
  reportFolder(): string {
    const folder = path.join(this.folder, 'report');
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder);
    return folder;
  }
}
