// Three hosts of a test that share nothing but a network, and a guest that uses all that it has: it writes records to its disk
// and answers TCP clients at every nic, while it moves. Everything is done by the command line, as people do it.
// Invariant: the hosts end with the test's process, however that ends (bench/hosts.ts), and with them all that ran there.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { Cli, exchangeKeys, listening } from '../../bench/cli.js';
import { addTap, makeRing, type HostRing } from '../../bench/hosts.js';
import { TcpClient } from '../../bench/tcp-client.js';
import { exportDisk, findQemuImg } from '../../src/disk/index.js';
import { Home, findQemu, formatSpec, readDisks, type Architecture, type MachineDisk } from '../../src/machine/index.js';
import type { ShipResult } from '../../src/migrate/ship.js';
import type { MigrationReport } from '../../src/migrate/report.js';
import { Transcript, consoleText, discontinuity, waitForLines } from './console.js';
import { withoutNamespaces } from './namespaces.js';
import { guestSpec, leftBeside, leftOn, processesHere, until, withoutGuests } from './stage.js';

/** Why there can be no such hosts here; false when there can. */
export const withoutLan = withoutGuests || withoutNamespaces;

export const mib = 1024 * 1024;
const port = 7600;
/** Each nic is in a network of its own, on the same wire. */
const addressOf = (nic: number, host: number): string => `10.${77 + nic}.0.${host}`;

/** One of the hosts, with its receiver. */
export interface LanHost {
  readonly cli: Cli;
  readonly home: Home;
}

export interface LanOptions {
  readonly arch: Architecture;
  readonly nics: number;
  readonly diskMib: number;
  /** Records of 4 KiB that the guest writes a second, each twice; 20 when left out, 0: as many as the disk takes. */
  readonly diskRate?: number;
  /** Disks beside the one that the guest writes. */
  readonly moreDisks?: readonly object[];
}

/** An ext4 file system in a raw image, a third of it full of what does not compress. */
function makeDisk(folder: string, sizeMib: number): string {
  const [file, content] = [path.join(folder, 'data.raw'), path.join(folder, 'content')];
  mkdirSync(content);
  writeFileSync(path.join(content, 'old'), randomBytes(Math.floor(sizeMib / 3) * mib));
  writeFileSync(file, '');
  truncateSync(file, sizeMib * mib);
  execFileSync('/sbin/mkfs.ext4', ['-q', '-F', '-d', content, file]);
  rmSync(content, { recursive: true });
  return file;
}

/** A guest on a lan: `boot`, then `move` from host to host, then `end`. */
export class Lan {
  readonly #transcript = new Transcript();
  readonly #clients: TcpClient[] = [];

  private constructor(
    private readonly t: Test,
    private readonly folder: string,
    private readonly options: LanOptions,
    private readonly hosts: HostRing,
    readonly a: LanHost,
    readonly b: LanHost,
    readonly c: LanHost,
  ) {}

  /** Makes the hosts, with taps and receivers. */
  static async make(t: Test, options: LanOptions): Promise<Lan> {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'trmig-lan-'));
    const hosts = await makeRing('1gbit');
    t.teardown(async () => {
      await hosts.close();
      if (t.passing()) rmSync(folder, { recursive: true, force: true });
      else console.error(`# '${t.fullname}' failed: its machines' logs are in ${folder}`);
    });
    const [a, b, c] = [hosts.a, hosts.b, hosts.c].map((host, i): LanHost => {
      const home = new Home(path.join(folder, 'abc'[i]!));
      return { cli: new Cli(host, home.root), home };
    }) as [LanHost, LanHost, LanHost];
    const clis = [a, b, c].map(({ cli }) => cli);
    for (const cli of clis) await cli.prepare();
    await exchangeKeys(clis);
    for (const cli of clis) {
      for (let nic = 0; nic < options.nics; nic++) await addTap(cli.host, `tap${nic}`);
      await listening(cli.host, cli.start(['receive', '--listen', `${cli.host.address}:${port}`]), port);
    }
    for (let nic = 1; nic < options.nics; nic++) {
      await hosts.client.exec('ip', ['address', 'add', `${addressOf(nic, 3)}/24`, 'dev', 'br0']);
    }
    return new Lan(t, folder, options, hosts, a, b, c);
  }

  /** Starts the guest on host a, and a client at each of its nics. */
  async boot(): Promise<void> {
    const { arch, nics, diskMib, diskRate = 20, moreDisks = [] } = this.options;
    const file = makeDisk(this.folder, diskMib);
    const nic = (index: number): object => ({
      backend: 'tap',
      interface: `tap${index}`,
      mac: `52:54:00:77:00:1${index}`,
    });
    const numbers = Array.from({ length: nics }, (_, i) => i);
    const addresses = numbers.map((i) => `${addressOf(i, 10)}/24`).join(',');
    const spec = guestSpec({
      workload: 'diskwriter',
      arch,
      append: `disk_rate=${diskRate} services=echo ip4=${addresses}`,
      disks: [{ file, format: 'raw' }, ...moreDisks],
      nics: numbers.map(nic),
    });
    const specFile = path.join(this.folder, 'spec.json');
    writeFileSync(specFile, formatSpec(spec));
    this.#transcript.arrives(this.a.home);
    await this.a.cli.run(['run', specFile]);
    await waitForLines(this.a.home.machine('m').consoleLog, 20);
    for (const i of numbers) this.#clients.push(await TcpClient.connect(this.hosts.client, addressOf(i, 10), 7));
  }

  /** Moves the guest and checks all that a migration promises; it was asked to verify what it wrote on the way. */
  async move(from: LanHost, to: LanHost): Promise<MigrationReport> {
    const { t } = this;
    const folder = path.join(this.folder, 'report');
    const before = consoleText(to.home.machine('m').consoleLog).length;
    const limits = ['--max-downtime', '100ms', '--timeout', '30s', '--on-timeout', 'switch'];
    const address = `${to.cli.host.address}:${port}`;
    await from.cli.run(['migrate', 'm', address, '--verify', '--report-dir', folder, ...limits]);
    this.#transcript.arrives(to.home, before);
    const report = JSON.parse(readFileSync(path.join(folder, 'report.json'), 'utf8')) as MigrationReport;
    const { base, disk, log } = report.bytes;
    t.comment(`downtime ${report.downtimeMs?.toFixed(1)} ms; base ${base}, disk ${disk}, log ${log} bytes`);
    t.match(report, { outcome: 'completed', owner: 'destination' });
    t.same(report.digests, { ram: 'equal', disks: 'equal', devices: 'equal', registers: 'equal' });
    await waitForLines(to.home.machine('m').consoleLog, 3);
    await this.ask(to, 'verify', before, /verify: ok \d+ records/);
    t.equal(discontinuity(this.#transcript.text), null, "the guest's counter goes on");
    t.same(await this.left(from), [], 'and nothing that is not kept for the way back is left');
    return report;
  }

  /** Records the guest from now on and gives it up; returns the recording. */
  async recordAway(from: LanHost): Promise<string> {
    const recording = path.join(from.home.root, 'rec');
    await from.cli.run(['checkpoint', 'm', '--to', recording, '--for', '3s', '--give-up']);
    return recording;
  }

  /** The guest goes on at another host by its recording, and is given up there in turn, or stays. Returns the recording there. */
  async passOn(from: LanHost, to: LanHost, recording: string, options: { readonly stays: boolean }): Promise<string> {
    const { t } = this;
    const { consoleLog } = to.home.machine('m');
    const before = consoleText(consoleLog).length;
    const said = await from.cli.run(['ship', recording, `${to.cli.host.address}:${port}`]);
    const { shipped } = JSON.parse(said.trim().split('\n').at(-1)!) as { shipped: ShipResult };
    const { base, disk, log, total } = shipped.bytes;
    t.comment(
      `${shipped.segments} segments, ${shipped.held} held; base ${base}, disk ${disk}, log ${log} of ${total} bytes`,
    );
    if (shipped.held > 0) t.same([base, disk], [0, 0], 'only the log crosses');
    const there = to.home.recording(shipped.name);
    this.#transcript.arrives(to.home, before);
    const legs = options.stays ? [] : ['--record', '--give-up', '--for', '6s'];
    const replayed = to.cli.run(['replay', there, '--live', '--verify', ...legs]);
    replayed.catch(() => undefined); // Reported below.
    await until('it is live there', () => consoleText(consoleLog).length > before + 20);
    await this.ask(to, 'verify', before, /verify: ok \d+ records/);
    await replayed;
    t.equal(discontinuity(this.#transcript.text), null, "the guest's counter goes on");
    if (!options.stays) t.same(await this.left(to), []);
    return there;
  }

  /** Says a word to the guest on its serial console, and waits for the answer behind the console's first `after` characters. */
  async ask({ home }: LanHost, word: string, after: number, answer: RegExp): Promise<void> {
    const { consoleSocket, consoleLog } = home.machine('m');
    const said = (): string => consoleText(consoleLog).slice(after);
    const console = createConnection(consoleSocket);
    console.on('error', () => undefined);
    console.write(`${word}\n`);
    await until(`the guest answers '${word}'`, () => answer.test(said()) || said().includes('CORRUPT'));
    console.destroy();
  }

  /** What is on a host that has no use for it, but for recordings and keys; `lives` is whether the machine lives there. */
  async left({ home, cli }: LanHost, lives = false): Promise<string[]> {
    const own = (await this.disks(home)).flatMap(({ layers }) =>
      layers.map(({ file }) => path.relative(home.root, file)),
    );
    const pid = processesHere(home)[0]?.pid ?? 0;
    const stays = /^(recordings|rec|keys)\//;
    const left = (lives ? leftBeside(home, pid) : leftOn(home)).filter((one) => !own.includes(one) && !stays.test(one));
    const links = JSON.parse(await cli.host.exec('ip', ['-json', 'link'])) as { ifname: string; flags: string[] }[];
    const taps = links.filter(({ ifname }) => !['lo', 'br0', 'link0'].includes(ifname));
    const strange = taps.filter(({ flags }) => flags.includes('LOWER_UP') !== lives).map(({ ifname }) => ifname);
    const count = taps.length === this.options.nics ? [] : [`${taps.length} taps`];
    return [...left, ...strange.map((name) => `${name} is ${lives ? 'not' : ''} in use`), ...count];
  }

  async disks(home: Home): Promise<MachineDisk[]> {
    return (await readDisks(home.machine('m'))) ?? [];
  }

  /** What grows when it must not: layers, bytes of files and of QEMU's memory. */
  async sizes({ home }: LanHost): Promise<string> {
    const layers = (await this.disks(home)).map((disk) => disk.layers.length).join(' ');
    const files = readdirSync(home.root, { recursive: true }).length;
    const { ownership, disks } = home.machine('m');
    const bytes = (file: string): number => consoleText(file).length;
    const pid = processesHere(home)[0]?.pid;
    const resident = pid === undefined ? '' : /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return (
      `${layers} layers, ${files} files, journal ${bytes(ownership)} bytes, disks.json ${bytes(disks)} bytes` +
      (resident ? `, QEMU has ${(Number(resident) / 1024).toFixed(0)} MiB` : '')
    );
  }

  /** Datagrams for the guest's first nic, in bursts, until the test ends. */
  bombard(): void {
    const script = fileURLToPath(new URL('udp-burst-process.js', import.meta.url));
    this.hosts.client.spawn(process.execPath, [script, addressOf(0, 10), '7'], { stdio: 'ignore' });
  }

  /** A client of the guest's first nic, beside those that `boot` has connected. */
  connect(): Promise<TcpClient> {
    return TcpClient.connect(this.hosts.client, addressOf(0, 10), 7);
  }

  /** The clients hang up, the guest powers off on host `at`: its disk's file system is clean, every message came back. */
  async end(at: LanHost): Promise<void> {
    const { t } = this;
    for (const client of this.#clients) {
      const seen = await client.end();
      t.comment(JSON.stringify(seen));
      t.match(seen, { error: null, received: seen.sent }, 'every message came back');
      t.ok(seen.sent > 100);
    }
    t.same(await this.left(at, true), []);
    await this.ask(at, 'quit', 0, /\/data is unmounted/);
    await until('the guest has powered off', () => processesHere(at.home).length === 0);
    const qemuImg = await findQemuImg(await findQemu({ arch: this.options.arch, qemu: { version: '10.0' } }));
    const content = path.join(this.folder, 'content.raw');
    await exportDisk(qemuImg, (await this.disks(at.home))[0]!, content);
    execFileSync('/sbin/fsck.ext4', ['-fn', content], { stdio: 'pipe' }); // Throws for a file system that is not clean.
  }
}
