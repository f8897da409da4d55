import t from 'tap';
import { assertMovable, assertProfile, profileFindings, workingStrategies } from '../../src/machine/profile.js';
import { parseSpec, type MachineSpec } from '../../src/machine/spec.js';
import { thrownBy } from './fake-peer.js';

const spec = (more: string): MachineSpec => parseSpec(`name: web\nmemory: 64M\n${more}`, { base: '/', source: 'test' });
const refusal = (more: string): ReturnType<typeof thrownBy> => thrownBy(() => assertProfile(spec(more), 'trace'));

t.test('what replays is accepted', (t) => {
  const more = 'board: q35\nshift: 3\ndevices: [virtio-rng, virtio-serial]\nqemu: { version: 10.0.2 }';
  for (const text of [
    '',
    more,
    'arch: aarch64\nkernel: k\ndevices: [virtio-rng, virtio-serial]',
    'disks: [{ file: a, format: raw }]\nnics: [{ backend: user, mac: 52:54:00:a0:00:01 }]',
  ]) {
    t.same(profileFindings(spec(text)), []);
    t.doesNotThrow(() => assertProfile(spec(text), 'trace'));
  }
  t.end();
});

t.test('several vCPUs are refused for replay, and the strategies that work are named', (t) => {
  const error = refusal('smp: 2');
  t.equal(error.code, 'E_PROFILE');
  t.equal(
    error.message,
    "'web' cannot be moved by strategy trace: smp: 2 does not work: a log replays on one vCPU only. Use smp: 1",
  );
  t.match(error.hint, /Change smp, or set strategy to precopy, postcopy or hybrid/);
  t.equal(error.facts['strategies'], 'precopy postcopy hybrid');
  t.doesNotThrow(() => assertProfile(spec('smp: 2'), 'precopy'));
  t.doesNotThrow(() => assertProfile(spec('smp: 2'), 'postcopy'));
  t.end();
});

t.test('each refusal names the field, the reason, and what works', (t) => {
  const cases: [string, RegExp][] = [
    ['accel: kvm', /accel: kvm does not work: KVM does not say at which instruction.*Use accel: tcg/],
    ['accel: hvf', /accel: hvf .* Use accel: tcg/],
    ['hpet: on', /hpet: on .*does not migrate\. Use hpet: off/],
    ['shift: auto', /shift: auto .*leave shift out/],
    ['rtc: vm', /rtc: vm .*Use rtc: host/],
    ["qemu: { version: '7.2' }", /qemu\.version: 7\.2 .*10\.0/],
    ['devices: [e1000]', /devices\[0\]: e1000 .*virtio-net, as an entry of nics/],
    ['devices: [virtio-rng, nvme]', /devices\[1\]: nvme .*virtio-blk, as an entry of disks/],
    ['devices: [virtio-net-pci]', /an entry of nics/],
    ['devices: [qemu-xhci]', /USB.*leave it out/],
    ['devices: [vfio-pci]', /outside QEMU/],
    ['devices: [edu]', /not been shown to replay\. Use one of virtio-rng, virtio-serial/],
    ['devices: [constructor]', /not been shown to replay/],
  ];
  for (const [more, said] of cases) t.match(refusal(more).message, said, more);
  t.end();
});

t.test('some things no strategy can move', (t) => {
  for (const more of ['accel: kvm', 'hpet: on', 'devices: [vfio-pci]']) {
    t.throws(() => assertProfile(spec(more), 'precopy'), { code: 'E_PROFILE' });
    t.notMatch(refusal(more).hint, /strategy/);
  }
  t.same(workingStrategies([]), ['trace', 'precopy', 'postcopy', 'hybrid']);
  t.end();
});

t.test('a machine whose nic ends in its own QEMU stays where it is', (t) => {
  const tap = '{ backend: tap, interface: tap0, mac: 52:54:00:a0:00:01 }';
  t.doesNotThrow(() => assertMovable(spec(`nics: [${tap}]`)));
  const error = thrownBy(() => assertMovable(spec(`nics: [${tap}, { backend: user, mac: 52:54:00:a0:00:02 }]`)));
  t.equal(error.code, 'E_PROFILE');
  t.match(error.message, /'web' cannot be moved: nics\[1\]: backend user does not work: .*Use backend: tap/);
  t.match(error.hint, /change nics\[1\].*recorded as it is/);
  t.end();
});

t.test('everything that is wrong is told at once', (t) => {
  const { message, facts } = refusal('smp: 4\naccel: kvm\ndevices: [e1000]');
  t.equal(message.split('\n').length, 4);
  t.equal(facts['fields'], 'smp accel devices[0]');
  t.end();
});
