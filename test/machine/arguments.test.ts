import t from 'tap';
import { qemuArguments } from '../../src/machine/arguments.js';
import type { DiskChain } from '../../src/machine/disk-chain.js';
import { Home } from '../../src/machine/home.js';
import { parseSpec, type MachineSpec } from '../../src/machine/spec.js';

const spec = (more = ''): MachineSpec => parseSpec(`name: web\nmemory: 64M\n${more}`, { base: '/s', source: 'test' });
const plain = { tracer: null, paused: false, disks: [] };
const paths = new Home('/h').machine('web');

t.test('the smallest machine is born able to be armed', (t) => {
  t.same(qemuArguments(spec(), { ...plain, paths }).slice(0, 17), [
    ...['-name', 'guest=web,debug-threads=on', '-nodefaults', '-no-user-config', '-display', 'none'],
    ...['-machine', 'pc,hpet=off,suppress-vmdesc=on', '-accel', 'tcg,thread=single'],
    ...['-cpu', 'qemu64', '-smp', '1', '-m', '67108864B', '-rtc'],
  ]);
  t.end();
});

t.test('an aarch64 machine is a virt board with an interrupt controller that is named', (t) => {
  const arm = (more: string): string[] =>
    qemuArguments(spec(`arch: aarch64\nkernel: k\n${more}`), { ...plain, paths }).slice(6, 14);
  t.same(arm(''), [
    ...['-machine', 'virt,gic-version=2,dtb-randomness=off,suppress-vmdesc=on', '-accel', 'tcg,thread=single'],
    ...['-cpu', 'cortex-a57', '-smp', '1'],
  ]);
  t.match(arm('smp: 9\ncpu: max'), ['-machine', /^virt,gic-version=3,/, '-accel', /tcg/, '-cpu', 'max', '-smp', '9']);
  t.end();
});

t.test('two hosts start the same machine: only sockets, logs and the pid file differ', (t) => {
  const more = 'kernel: k\nnics: [{ backend: user, mac: 52:54:00:a0:00:01 }]';
  const there = new Home('/elsewhere').machine('web');
  const here = qemuArguments(spec(more), { ...plain, paths });
  const moved = qemuArguments(spec(more), { ...plain, paths: there });
  t.same(
    moved.map((argument) => argument.replaceAll('/elsewhere/', '/h/')),
    here,
  );
  t.same(
    here.filter((argument) => argument.includes('/h/')).map((argument) => argument.replace(/.*\/h\//, '')),
    ['machines/web/console.log,logappend=on', 'machines/web/qmp.sock,server=on,wait=off', 'machines/web/qemu.pid'],
  );
  t.end();
});

const id = (digit: string): string => `${digit.repeat(8)}-0000-4000-8000-000000000000`;
const layer = (digit: string, file: string, format: 'raw' | 'qcow2'): DiskChain['layers'][number] => ({
  id: id(digit),
  file,
  format,
  includes: [],
  origin: 'spec',
  shared: false,
});

t.test('disks and nics go through the replay layers', (t) => {
  const more = `
nics: [{ backend: tap, interface: tap0, mac: 52:54:00:a0:00:01 }]
devices: [virtio-rng]`;
  const disks: DiskChain[] = [
    { readonly: false, layers: [layer('1', '/s/a,b.raw', 'raw'), layer('2', '/s/top', 'qcow2')] },
    { readonly: true, layers: [layer('3', '/dev/vg/c', 'qcow2')] },
  ];
  const nodes = qemuArguments(spec(more), { ...plain, disks, paths }).filter((argument) => argument.startsWith('{'));
  const parsed = nodes.map((node) => JSON.parse(node) as Record<string, unknown>);
  t.match(parsed[0], { driver: 'file', filename: '/s/a,b.raw', 'auto-read-only': true });
  t.match(parsed[1], { driver: 'raw', 'read-only': true });
  t.notOk('backing' in parsed[1]!, 'raw has no backing file');
  t.match(parsed[3], { driver: 'qcow2', 'read-only': false, backing: parsed[1]!['node-name'] });
  t.match(parsed[4], { driver: 'blkreplay', 'node-name': 'disk0-replay', image: parsed[3]!['node-name'] });
  t.match(parsed[5], { driver: 'host_device', filename: '/dev/vg/c' });
  t.match(parsed[6], { driver: 'qcow2', 'read-only': true, backing: null });
  t.match(parsed[7], { driver: 'blkreplay', 'node-name': 'disk1-replay', 'read-only': true });
  for (const node of parsed) t.ok(JSON.stringify(node['node-name'] ?? '').length - 2 <= 31, 'a name that QEMU takes');
  const text = qemuArguments(spec(more), { ...plain, disks, paths }).join('\n');
  t.match(text, 'virtio-blk-pci,id=disk1-device,drive=disk1-replay,ioeventfd=off');
  t.match(
    text,
    '{"id":"nic0","type":"tap","ifname":"tap0","script":"no","downscript":"no","vhost":false,"vnet_hdr":false}',
  );
  const offline = qemuArguments(spec(more), { ...plain, disks, paths, offline: true }).join('\n');
  t.match(offline, '{"id":"nic0","type":"hubport","hubid":0}', 'a replay needs no network');
  t.match(text, 'filter-replay,id=nic0-replay,netdev=nic0');
  t.match(text, /virtio-net-pci,.*guest_announce=off,ioeventfd=off/);
  t.match(text, 'virtio-rng-pci,id=device0,ioeventfd=off');
  t.end();
});

t.test('a destination opens the top layers alone, on nothing', (t) => {
  const disks: DiskChain[] = [
    { readonly: false, layers: [layer('1', '/s/base', 'qcow2'), layer('2', '/s/top', 'qcow2')] },
  ];
  const text = qemuArguments(spec(), { ...plain, disks, topsOnly: true, paths }).join('\n');
  t.match(text, /"filename":"\/s\/top".*\n.*\n.*"backing":null/);
  t.notMatch(text, '/s/base');
  t.end();
});

t.test('a comma in a path is written twice, and a destination starts paused', (t) => {
  const odd = new Home('/a,b').machine('web');
  const destination = qemuArguments(spec('console: none'), { paths: odd, tracer: '/t,t.so', paused: true, disks: [] });
  t.match(destination.join('\n'), /\n\/t,,t\.so,socket=\/a,,b\/machines\/web\/tracer\.sock\n/);
  t.ok(destination.includes('-S'));
  t.notOk(
    destination.some((argument) => argument.includes('chardev')),
    'no console, no chardev',
  );
  t.end();
});
