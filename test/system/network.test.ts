// A guest with a nic moves between two hosts that share only a network, and the clients it talks to stay connected.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { Cli, listening } from '../../bench/cli.js';
import { addTap, makeHosts, type HostPair } from '../../bench/hosts.js';
import { TcpClient } from '../../bench/tcp-client.js';
import { counters } from './console.js';
import { guestFile, until, withoutGuests } from './stage.js';
import { withoutNamespaces } from './namespaces.js';

const guest = { address: '10.77.0.10', mac: '52:54:00:77:00:10', port: 7 };
const port = 7700;
const name = 'm';

interface Network {
  readonly hosts: HostPair;
  readonly a: Cli;
  readonly b: Cli;
}

/** Two hosts, each with a tap for the guest and a receiver. */
async function network(t: Test): Promise<Network> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'trmig-net-'));
  const hosts = await makeHosts('1gbit');
  t.teardown(async () => {
    await hosts.close();
    if (t.passing()) await rm(folder, { recursive: true, force: true });
    else console.error(`# '${t.fullname}' failed: its machines' logs are in ${folder}`);
  });
  const [a, b] = [new Cli(hosts.a, path.join(folder, 'a')), new Cli(hosts.b, path.join(folder, 'b'))];
  for (const cli of [a, b]) {
    await cli.prepare();
    await addTap(cli.host, 'tap0');
    const receiver = cli.start(['receive', '--listen', `${cli.host.address}:${port}`]);
    await listening(cli.host, receiver, port);
  }
  return { hosts, a, b };
}

async function startGuest(cli: Cli, workload: string): Promise<void> {
  const spec = {
    name,
    memory: '256M',
    kernel: guestFile('x86_64', 'vmlinuz'),
    initrd: guestFile('x86_64', 'initramfs.cpio.gz'),
    append: `console=ttyS0 quiet workload=${workload} ip4=${guest.address}/24`,
    nics: [{ backend: 'tap', interface: 'tap0', mac: guest.mac }],
  };
  const file = `${cli.home}.spec.json`;
  await writeFile(file, JSON.stringify(spec));
  await cli.run(['run', file]);
  await until('the guest counts', async () => counters(await consoleOf(cli)).length >= 3);
}

const consoleOf = (cli: Cli): Promise<string> =>
  readFile(path.join(cli.home, 'machines', name, 'console.log'), 'utf8').catch(() => '');

async function move(t: Test, from: Cli, to: Cli): Promise<void> {
  const folder = `${from.home}.report`;
  const address = `${to.host.address}:${port}`;
  await from.run(['migrate', name, address, '--verify', '--report-dir', folder, '--max-downtime', '100ms']);
  const report = JSON.parse(await readFile(path.join(folder, 'report.json'), 'utf8')) as Record<string, unknown>;
  t.match(report, { outcome: 'completed', digests: { ram: 'equal', devices: 'equal', registers: 'equal' } });
  const terms = JSON.stringify(report['downtime'], (_, value: unknown) =>
    typeof value === 'number' ? Math.round(value) : value,
  );
  t.comment(`downtime ${String(report['downtimeMs'])} ms ${terms}`);
}

const skip = withoutGuests || withoutNamespaces;

t.test('a TCP connection survives its guest moving there and back', { timeout: 600_000, skip }, async (t) => {
  const { hosts, a, b } = await network(t);
  await startGuest(a, 'echo');
  const client = await TcpClient.connect(hosts.client, guest.address, guest.port);
  await move(t, a, b);
  await move(t, b, a);
  const seen = await client.end();
  t.comment(JSON.stringify(seen));
  t.equal(seen.error, null);
  t.equal(seen.received, seen.sent, 'every message came back');
  t.ok(seen.sent > 100);
});
