// libvirt domains as virt-install and people write them, and what a spec makes of each. Hostile ones are refused.
import t from 'tap';
import { derivedMac } from '../../src/machine/import/draft.js';
import { importLibvirt, undecided, type Imported } from '../../src/machine/import/index.js';
import { thrownBy } from './fake-peer.js';
import { lines, readBack, refusedInputs } from './import-text.js';

const take = (text: string, name?: string): Imported => importLibvirt(text, { base: '/', source: 'web.xml', name });
const domain = (inner: string, devices = ''): string =>
  `<domain type='qemu'><name>web</name><memory>1048576</memory>${inner}<devices>${devices}</devices></domain>`;

/** As virt-install leaves it for a Linux guest with a BIOS. */
const installed = `<!--
WARNING: THIS IS AN AUTO-GENERATED FILE. CHANGES TO IT ARE LIKELY TO BE
OVERWRITTEN AND LOST.
-->
<domain type='kvm'>
  <name>web</name>
  <uuid>0f2f6d0e-3c0b-4f0f-9a42-5d1b33a6c9a1</uuid>
  <metadata>
    <libosinfo:libosinfo xmlns:libosinfo="http://libosinfo.org/xmlns/libvirt/domain/1.0">
      <libosinfo:os id="http://debian.org/debian/12"/>
    </libosinfo:libosinfo>
  </metadata>
  <memory unit='KiB'>2097152</memory>
  <currentMemory unit='KiB'>2097152</currentMemory>
  <vcpu placement='static'>2</vcpu>
  <os>
    <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
    <boot dev='hd'/>
  </os>
  <features><acpi/><apic/><vmport state='off'/></features>
  <cpu mode='host-passthrough' check='none' migratable='on'/>
  <clock offset='utc'>
    <timer name='rtc' tickpolicy='catchup'/>
    <timer name='pit' tickpolicy='delay'/>
    <timer name='hpet' present='no'/>
  </clock>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <pm><suspend-to-mem enabled='no'/><suspend-to-disk enabled='no'/></pm>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' discard='unmap'/>
      <source file='/var/lib/libvirt/images/web.qcow2'/>
      <target dev='vda' bus='virtio'/>
      <address type='pci' domain='0x0000' bus='0x04' slot='0x00' function='0x0'/>
    </disk>
    <disk type='file' device='cdrom'>
      <driver name='qemu' type='raw'/>
      <target dev='sda' bus='sata'/>
      <readonly/>
      <address type='drive' controller='0' bus='0' target='0' unit='0'/>
    </disk>
    <controller type='usb' index='0' model='qemu-xhci' ports='15'/>
    <controller type='pci' index='0' model='pcie-root'/>
    <controller type='pci' index='1' model='pcie-root-port'><target chassis='1' port='0x10'/></controller>
    <controller type='sata' index='0'/>
    <controller type='virtio-serial' index='0'/>
    <interface type='network'>
      <mac address='52:54:00:5D:0A:11'/>
      <source network='default'/>
      <model type='virtio'/>
      <address type='pci' domain='0x0000' bus='0x01' slot='0x00' function='0x0'/>
    </interface>
    <serial type='pty'><target type='isa-serial' port='0'><model name='isa-serial'/></target></serial>
    <console type='pty'><target type='serial' port='0'/></console>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <input type='tablet' bus='usb'/>
    <input type='keyboard' bus='ps2'/>
    <graphics type='vnc' port='-1' autoport='yes' listen='127.0.0.1'><listen type='address' address='127.0.0.1'/></graphics>
    <sound model='ich9'/>
    <audio id='1' type='none'/>
    <video><model type='virtio' heads='1' primary='yes'/></video>
    <watchdog model='itco' action='reset'/>
    <memballoon model='virtio'/>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
    <panic model='isa'/>
  </devices>
</domain>`;

t.test("virt-install's Linux guest becomes a spec, whole", (t) => {
  const imported = take(installed);
  t.same(refusedInputs(imported), []);
  t.same(undecided(imported), []);
  t.strictSame(imported.spec, {
    name: 'web',
    memory: '2G',
    board: 'q35',
    cpu: 'max',
    console: 'serial',
    disks: [{ file: '/var/lib/libvirt/images/web.qcow2', format: 'qcow2' }],
    nics: [{ backend: 'tap', interface: 'web-0', mac: '52:54:00:5d:0a:11' }],
    devices: ['virtio-serial', 'virtio-rng'],
  });
  t.equal(readBack(imported).memoryBytes, 2 ** 31);
  for (const said of [
    /^changed \| @type=kvm \| accel: tcg \| KVM does not say/,
    /^changed \| vcpu placement=static 2 \| smp: 1 \| a log replays on one vCPU only/,
    /^changed \| os\/type\/@machine=pc-q35-7.2 \| board: q35/,
    /^changed \| cpu\/@mode=host-passthrough \| cpu: max/,
    /^kept \| clock\/timer\[3\].* \| hpet: off/,
    /^kept \| devices\/disk\[1\] disk vda \| disks\[0\]: /,
    /^changed \| devices\/disk\[1\]\/driver\/@discard=unmap \| - \| left out/,
    /^changed \| devices\/disk\[2\] cdrom sda \| - \| left out: a drive without an image/,
    /^changed \| devices\/interface \(no interface\)|^changed \| devices\/interface network virtio \(no interface\) .*libvirt's network default/,
    /^changed \| devices\/input\[1\].* \| - \| left out: USB frames/,
    /^changed \| devices\/memballoon.* gives guest memory back/,
    /^changed \| devices\/video.* displays are refreshed/,
  ]) {
    t.ok(
      lines(imported).some((text) => said.test(text)),
      `${said}`,
    );
  }
  t.end();
});

t.test('a guest that boots a kernel, with a CPU model and text that XML has to escape', (t) => {
  const imported = take(
    domain(
      `<os><type arch='x86_64' machine='pc'>hvm</type><kernel>/boot/a &amp; b/vmlinuz</kernel><initrd>/boot/initrd</initrd>
       <cmdline>console=ttyS0 x=&quot;1&quot; &#x41;<![CDATA[ &amp; ]]></cmdline></os>
       <cpu mode='custom' match='exact'><model fallback='forbid'>Nehalem</model><feature policy='require' name='aes'/></cpu>`,
      `<disk type='block'><source dev='/dev/vg/web'/><target dev='vda' bus='virtio'/><readonly/></disk>
       <interface type='user'><model type='e1000'/></interface><interface type='ethernet'><target dev='tap7'/></interface>`,
    ),
  );
  t.match(imported.spec, {
    board: 'pc',
    cpu: 'Nehalem',
    kernel: '/boot/a & b/vmlinuz',
    append: 'console=ttyS0 x="1" A &amp;',
    disks: [{ file: '/dev/vg/web', format: 'raw', readonly: true }],
    nics: [
      { backend: 'user', mac: derivedMac('web', 0) },
      { backend: 'tap', interface: 'tap7', mac: derivedMac('web', 1) },
    ],
    console: 'none',
  });
  t.same(undecided(imported), []);
  t.end();
});

t.test('what the guest would miss is refused, each by its path', (t) => {
  const imported = take(
    domain(
      `<os firmware='efi'><type>hvm</type><loader readonly='yes' type='pflash'>/usr/share/OVMF.fd</loader><boot dev='network'/></os>
       <sysinfo type='smbios'/><launchSecurity type='sev'/>`,
      `<disk type='network'><source protocol='rbd' name='p/i'/><target dev='vda' bus='virtio'/></disk>
       <disk type='file'><driver name='qemu' type='vmdk'/><source file='/a.vmdk'/><target dev='vdb' bus='virtio'/></disk>
       <disk type='file' device='floppy'><source file='/f'/><target dev='fda'/></disk>
       <disk type='file'><source file='/s'/><target dev='sda' bus='scsi'/><serial>xyz</serial></disk>
       <interface type='hostdev'><source/></interface><hostdev mode='subsystem' type='pci'/>
       <interface type='bridge'><source bridge='br0'/><filterref filter='clean-traffic'/><model type='virtio'/></interface>
       <tpm model='tpm-crb'/><filesystem type='mount'/><vsock model='virtio'/><frob nicate='1'/>`,
    ),
  );
  const refused = refusedInputs(imported);
  for (const said of [
    'os/loader readonly=yes type=pflash /usr/share/OVMF.fd',
    'os/boot dev=network',
    'os/@firmware=efi',
    'sysinfo type=smbios',
    'launchSecurity type=sev',
    /^devices\/disk\[1\] disk vda.*rbd/,
    'devices/disk[2] disk vdb',
    /^devices\/disk\[3\]/,
    'devices/disk[4]/serial xyz',
    /^devices\/interface\[1\]/,
    'devices/hostdev mode=subsystem type=pci',
    'devices/interface[2]/filterref filter=clean-traffic',
    'devices/tpm model=tpm-crb',
    'devices/filesystem type=mount',
    'devices/vsock model=virtio',
    'devices/frob nicate=1',
  ]) {
    t.ok(
      refused.some((input) => (typeof said === 'string' ? input === said : said.test(input))),
      `${said}`,
    );
  }
  t.equal(refused.length, 16, refused.join('\n'));
  t.match(imported.spec.disks, [{ file: '/s', format: 'raw' }]);
  t.match(imported.spec.nics, [{ backend: 'tap', interface: 'web-0' }]);
  t.end();
});

t.test('arguments for QEMU in a domain are read as a command line', (t) => {
  const text = domain('', '').replace(
    '</domain>',
    `<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
     <qemu:arg value='-netdev'/><qemu:arg value='user,id=n'/>
     <qemu:arg value='-device'/><qemu:arg value='virtio-net-pci,netdev=n,mac=52:54:00:00:00:01'/>
     <qemu:arg value='-fw_cfg'/><qemu:arg value='name=opt/x,string=y'/><qemu:env name='A' value='b'/></qemu:commandline></domain>`,
  );
  const imported = take(text);
  t.match(imported.spec.nics, [{ backend: 'user', mac: '52:54:00:00:00:01' }]);
  t.same(refusedInputs(imported), [
    'qemu:commandline -fw_cfg name=opt/x,string=y',
    'qemu:commandline/qemu:env name=A value=b',
  ]);
  t.end();
});

t.test('what a domain needs and lacks is for a person to decide', (t) => {
  t.match(undecided(take("<domain type='qemu'><name>x</name></domain>")), [/memory: is missing/]);
  t.match(undecided(take("<domain type='lxc'><name>x</name><memory>1048576</memory></domain>")), [/@type=lxc/]);
  t.match(undecided(take(domain("<os><type arch='s390x' machine='virt'>hvm</type></os>"))), [/arch=s390x/, /arch/]);
  t.match(undecided(take(domain("<os><type arch='aarch64' machine='virt'>hvm</type></os>"))), [/kernel: is missing/]);
  t.end();
});

t.test('boot orders that the firmware does not follow are told', (t) => {
  const disk = (dev: string, order: number): string =>
    `<disk type='file'><source file='/${dev}'/><target dev='${dev}' bus='virtio'/><boot order='${order}'/></disk>`;
  t.match(undecided(take(domain('', disk('vda', 2) + disk('vdb', 1)))), [/move disks\[1\] to the front/]);
  t.same(undecided(take(domain('', disk('vda', 1) + disk('vdb', 2)))), []);
  t.end();
});

t.test('XML that defines entities, is none, is another or is too much is refused', (t) => {
  const bomb = `<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><domain><name>&b;</name></domain>`;
  for (const [text, code, said] of [
    [bomb, 'E_IMPORT', /DOCTYPE/],
    [`<!DOCTYPE d SYSTEM "file:///etc/passwd"><domain/>`, 'E_IMPORT', /DOCTYPE/],
    ['', 'E_IMPORT', /web\.xml/],
    ['name: web', 'E_IMPORT', /web\.xml/],
    ['<domain><name>x</domain>', 'E_IMPORT', /line 1/],
    ['<network/>', 'E_IMPORT', /<network>, not <domain>/],
    [`${'<a>'.repeat(5000)}${'</a>'.repeat(5000)}`, 'E_IMPORT', /./],
    [`<domain>${'<a>'.repeat(60)}${'</a>'.repeat(60)}</domain>`, 'E_IMPORT', /./],
    [`<domain><name>${'x'.repeat(11 * 2 ** 20)}</name></domain>`, 'E_USAGE', /bytes/],
  ] as const) {
    const error = thrownBy(() => take(text));
    t.equal(error.code, code, text.slice(0, 60));
    t.match(error.message, said);
  }
  t.end();
});

t.test('names of JavaScript are refused, and pollute nothing', (t) => {
  for (const inner of [
    "<__proto__ polluted='1'/>",
    '<constructor/>',
    "<frob __proto__='1' prototype='1'/>",
    '<toString/>',
  ]) {
    try {
      t.equal(refusedInputs(take(domain(inner))).length, 1, inner);
    } catch (error) {
      t.match(error, { code: 'E_IMPORT' }, inner);
    }
  }
  t.equal(({} as { polluted?: string }).polluted, undefined);
  t.end();
});

t.test('what goes to a terminal has no control characters', (t) => {
  const imported = take(domain("<frob a='\u001b[2J\u202e&#27;]0;x&#7;'/>"));
  // eslint-disable-next-line no-control-regex
  t.notMatch(JSON.stringify(imported.findings.map(({ input }) => input)), /\\u001b|\\u0007|[\u0000-\u001f\u202e]/);
  t.end();
});
