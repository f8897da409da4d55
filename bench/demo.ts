// The demo: two hosts and a client that share nothing but a network. A guest on host a writes its hot set and its disk and
// answers the client; `trmig migrate` moves it to host b while the client goes on talking. Run by scripts/demo.sh, as root.
//
//   node build/bench/demo.js SPEC     the name of a spec in fixtures/specs; leaves report.json, report.html and client.json
//                                     in out/demo
//
// However it ends, nothing of it is left: the hosts go with this process (hosts.ts), and with them all that runs on them.
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { z } from 'zod';
import { formatSpec, loadSpec, type MachineSpec } from '../src/machine/index.js';
import { Cli, exchangeKeys, listening } from './cli.js';
import { ConsoleWatch } from './console.js';
import { addTap, makeHosts, type HostPair } from './hosts.js';
import { TcpClient, type ClientReport } from './tcp-client.js';

const out = path.resolve('out/demo');
const guest = { address: '10.77.0.10', mac: '52:54:00:77:00:10', port: 7 };
const port = 7600;
/** The guest writes ten lines a second. */
const linesBefore = 30;
const bootMsMax = 60_000;
const settleMs = 2_000;

const say = (text: string): void => console.error(`trmig: ${text}`);

/** The spec with a nic and a disk, and what the guest does with them beside its workload. */
async function equip(spec: MachineSpec, folder: string): Promise<string> {
  const disk = path.join(folder, 'data.raw');
  await writeFile(disk, '');
  await promisify(execFile)('/sbin/mkfs.ext4', ['-q', '-F', disk, '64M']);
  const file = path.join(folder, 'spec.json');
  const more = `services=echo,diskwriter disk_rate=20 ip4=${guest.address}/24`;
  const equipped: MachineSpec = {
    ...spec,
    append: `${spec.append} ${more}`,
    nics: [{ backend: 'tap', interface: 'tap0', mac: guest.mac }],
    disks: [{ file: disk, format: 'raw', readonly: false, shared: false }],
  };
  await writeFile(file, formatSpec(equipped));
  return file;
}

const consoleLog = (cli: Cli, name: string): string => path.join(cli.home, 'machines', name, 'console.log');

/** Whole numbered lines of a console: the guest's own counter. */
async function counts(cli: Cli, name: string): Promise<string[]> {
  const text = await readFile(consoleLog(cli, name), 'utf8');
  return text
    .slice(0, text.lastIndexOf('\n'))
    .split('\n')
    .filter((line) => line.startsWith('count '));
}

function tellClient({ sent, received, medianMs, longestMs, error }: ClientReport): void {
  const lost = sent - received;
  say(
    `the TCP client: ${sent} messages, ${lost === 0 ? 'none' : lost} lost; round trip ${medianMs.toFixed(1)} ms median, ` +
      `${longestMs.toFixed(0)} ms the longest`,
  );
  if (error !== null || lost > 0) throw new Error(`the connection did not survive: ${error ?? 'answers are missing'}`);
  say('its connection survived');
}

const reportSchema = z.object({ bytes: z.object({ disk: z.number() }) });

async function demo(hosts: HostPair, folder: string, specName: string): Promise<void> {
  const spec = await loadSpec(path.resolve('fixtures/specs', `${specName}.yaml`));
  const { name } = spec;
  const [a, b] = [new Cli(hosts.a, path.join(folder, 'a')), new Cli(hosts.b, path.join(folder, 'b'))];
  for (const cli of [a, b]) {
    await cli.prepare();
    await addTap(cli.host, 'tap0');
  }
  await exchangeKeys([a, b]);

  say(`host a (${a.host.address}): starting the guest`);
  await a.show(['run', await equip(spec, folder)]);
  const watch = new ConsoleWatch(consoleLog(a, name), 'hotset');
  await watch.waitFor(linesBefore, bootMsMax).finally(() => watch.close());
  console.log((await counts(a, name)).slice(-3).join('\n'));

  say(`the client (${hosts.client.address}): talking to the guest, TCP to ${guest.address}:${guest.port}`);
  const client = await TcpClient.connect(hosts.client, guest.address, guest.port);
  const address = `${b.host.address}:${port}`;
  say(`host b (${b.host.address}): listening`);
  const receiver = b.start(['receive', '--listen', address, '--once']);
  await listening(b.host, receiver, port);

  say(`migrating to ${address} over ${hosts.link}`);
  await a.show(['migrate', name, address, '--verify', '--report-dir', out]);
  if (receiver.exitCode === null) await once(receiver, 'exit');
  await sleep(settleMs);
  const seen = await client.end();
  await writeFile(path.join(out, 'client.json'), `${JSON.stringify(seen, null, 2)}\n`);

  const { bytes } = reportSchema.parse(JSON.parse(await readFile(path.join(out, 'report.json'), 'utf8')));
  say(`its disk (64 MiB, written all the while) came along in ${(bytes.disk / 2 ** 20).toFixed(1)} MiB`);
  say("the guest's own counter: the last lines on host a, the first on host b");
  console.log([...(await counts(a, name)).slice(-2), ...(await counts(b, name)).slice(0, 2)].join('\n'));
  tellClient(seen);
  say(`report: ${path.relative('.', out)}/report.html`);
}

const specName = process.argv[2] ?? 'hotset';
await mkdir(out, { recursive: true });
for (const file of ['report.json', 'report.html', 'client.json']) await rm(path.join(out, file), { force: true });
// Unix sockets want short paths, wherever this clone lies.
const folder = await mkdtemp(path.join(os.tmpdir(), 'trmig-demo.'));
const hosts = await makeHosts('1gbit');
const interrupted = new AbortController();
const cleanUp = async (): Promise<void> => {
  await hosts.close();
  await rm(folder, { recursive: true, force: true });
};
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    interrupted.abort();
    void cleanUp().finally(() => process.exit(130));
  });
}
try {
  await demo(hosts, folder, specName);
} catch (error) {
  if (!interrupted.signal.aborted) say((error as Error).message);
  process.exitCode = 1;
} finally {
  await cleanUp();
}
