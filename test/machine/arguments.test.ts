import t from 'tap';
import { qemuArguments } from '../../src/machine/arguments.js';
import { Home } from '../../src/machine/home.js';
import { parseSpec, type MachineSpec } from '../../src/machine/spec.js';

const spec = (more = ''): MachineSpec => parseSpec(`name: web\nmemory: 64M\n${more}`, { base: '/s', source: 'test' });
const plain = { tracer: null, paused: false };
const paths = new Home('/h').machine('web');

t.test('the smallest machine is born able to be armed', (t) => {
  t.same(qemuArguments(spec(), { ...plain, paths }).slice(0, 17), [
    ...['-name', 'guest=web,debug-threads=on', '-nodefaults', '-no-user-config', '-display', 'none'],
    ...['-machine', 'pc,hpet=off,suppress-vmdesc=on', '-accel', 'tcg,thread=single'],
    ...['-cpu', 'qemu64', '-smp', '1', '-m', '67108864B', '-rtc'],
  ]);
  t.end();
});

t.test('two hosts start the same machine: only sockets, logs and the pid file differ', (t) => {
  const more = 'kernel: k\ndisks: [{ file: d, format: raw }]\nnics: [{ backend: user, mac: 52:54:00:a0:00:01 }]';
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

t.test('disks and nics go through the replay layers', (t) => {
  const more = `
disks: [{ file: 'a,b.raw', format: raw }, { file: c, format: qcow2, readonly: on }]
nics: [{ backend: tap, interface: tap0, mac: 52:54:00:a0:00:01 }]
devices: [virtio-rng]`;
  const text = qemuArguments(spec(more), { ...plain, paths }).join('\n');
  t.match(text, '{"driver":"file","node-name":"disk0-file","filename":"/s/a,b.raw","read-only":false}');
  t.match(text, '{"driver":"blkreplay","node-name":"disk1-replay","image":"disk1","read-only":true}');
  t.match(text, 'virtio-blk-pci,id=disk1-device,drive=disk1-replay,ioeventfd=off');
  t.match(text, '{"type":"tap","id":"nic0","ifname":"tap0","script":"no","downscript":"no","vhost":false}');
  t.match(text, 'filter-replay,id=nic0-replay,netdev=nic0');
  t.match(text, /virtio-net-pci,.*guest_announce=off,ioeventfd=off/);
  t.match(text, 'virtio-rng-pci,id=device0,ioeventfd=off');
  t.end();
});

t.test('a comma in a path is written twice, and a destination starts paused', (t) => {
  const odd = new Home('/a,b').machine('web');
  const destination = qemuArguments(spec('console: none'), { paths: odd, tracer: '/t,t.so', paused: true });
  t.match(destination.join('\n'), /\n\/t,,t\.so,socket=\/a,,b\/machines\/web\/tracer\.sock\n/);
  t.ok(destination.includes('-S'));
  t.notOk(
    destination.some((argument) => argument.includes('chardev')),
    'no console, no chardev',
  );
  t.end();
});
