// Damaged command lines and domains: each ends in a spec with findings, or in a typed error; never in a hang or a TypeError. What
// is called complete is complete: it reads back as a spec that the profile takes.
import t, { type Test } from 'tap';
import { TrmigError } from '../../src/errors.js';
import { importLibvirt, importQemu, undecided, type Imported } from '../../src/machine/import/index.js';
import { profileFindings } from '../../src/machine/profile.js';
import { readBack, words } from './import-text.js';
import { damaged, seeded } from './random.js';

const line = words(
  `qemu-system-x86_64 -name guest=web,debug-threads=on -machine q35,accel=kvm:tcg,hpet=on,pflash0=x -cpu host,+aes -smp 4,cores=2
  -m size=2G,slots=2 -kernel vmlinuz -initrd initrd -append console=ttyS0 -drive file=a,,b.qcow2,if=virtio,format=qcow2,cache=none
  -drive if=none,id=d,file=b.raw,media=cdrom -device scsi-cd,drive=d,bootindex=1 -blockdev
  {"driver":"qcow2","node-name":"q","file":{"driver":"file","filename":"/c"}} -device virtio-blk-pci,drive=q,serial=x
  -blockdev driver=raw,node-name=r,file=q -hda c.img -cdrom d.iso -netdev tap,id=n,ifname=tap0,vhost=on -device e1000,netdev=n
  -nic user,hostfwd=tcp::1-:2 -net nic -net user -object rng-random,id=r -device virtio-rng-pci,rng=r -serial mon:stdio -nographic
  -rtc base=utc,clock=vm -icount shift=auto,rr=record -global a.b=c -boot order=dc -frob x -usb -incoming defer`,
);

const domain = `<?xml version='1.0'?><domain type='kvm'><name>web</name><memory unit='MiB'>512</memory><vcpu>2</vcpu>
<os><type arch='x86_64' machine='pc-q35-8.0'>hvm</type><boot dev='hd'/><kernel>/v&amp;z</kernel></os>
<features><acpi/></features><cpu mode='host-model'><feature name='x'/></cpu><clock offset='utc'><timer name='hpet' present='yes'/></clock>
<devices><disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='none'/><source file='/a'/><target dev='vda' bus='virtio'/>
<boot order='1'/></disk><disk type='network' device='cdrom'><source protocol='nbd'/></disk><interface type='bridge'><source bridge='b'/>
<mac address='52:54:00:00:00:01'/><model type='e1000'/></interface><serial type='pty'/><console type='pty'/><rng model='virtio'/>
<tpm/><![CDATA[ x ]]></devices><qemu:commandline><qemu:arg value='-m'/><qemu:arg value='1G'/></qemu:commandline></domain>`;

/** A finding for everything, and a complete spec when nothing is left to decide. */
function judge(t: Test, seed: number, imported: Imported): void {
  if (imported.findings.some(({ input, verdict, reason }) => input === '' || (verdict !== 'kept' && reason === null))) {
    t.fail(`seed ${seed}: a finding without an input or a reason`);
  }
  if (undecided(imported).length > 0) return;
  const spec = readBack(imported);
  if (profileFindings(spec).length > 0) t.fail(`seed ${seed}: complete, but not in the profile`);
}

function trying(t: Test, seed: number, importing: () => Imported): void {
  try {
    judge(t, seed, importing());
  } catch (error) {
    if (!(error instanceof TrmigError) || error.code === 'E_INTERNAL') t.fail(`seed ${seed}: ${String(error)}`);
  }
}

t.test('damaged command lines (1500 seeds)', (t) => {
  for (let seed = 1; seed <= 1500; seed++) {
    const random = seeded(seed);
    const argv = damaged(Buffer.from(line.join('\n')), random)
      .toString('utf8')
      .split('\n');
    trying(t, seed, () => importQemu(argv, { base: '/vm' }));
  }
  t.end();
});

t.test('command lines with words in any order (1500 seeds)', (t) => {
  for (let seed = 1; seed <= 1500; seed++) {
    const random = seeded(seed);
    const argv = Array.from({ length: Math.floor(random() * 20) }, () => line[Math.floor(random() * line.length)]!);
    trying(t, seed, () => importQemu(argv, { base: '/vm' }));
  }
  t.end();
});

t.test('options alone are a command line, too, and most need nothing more', (t) => {
  let complete = 0;
  for (const [index, word] of line.entries()) {
    if (!word.startsWith('-')) continue;
    const value = line[index + 1]?.startsWith('-') === false ? [line[index + 1]!] : [];
    const imported = importQemu(['qemu-system-x86_64', word, ...value], { base: '/vm' });
    judge(t, index, imported);
    if (undecided(imported).length === 0) complete += 1;
  }
  t.ok(complete > 10, `${complete}`);
  t.end();
});

t.test('damaged domains (1500 seeds)', (t) => {
  let read = 0;
  for (let seed = 1; seed <= 1500; seed++) {
    const text = damaged(Buffer.from(domain), seeded(seed)).toString('utf8');
    trying(t, seed, () => {
      const imported = importLibvirt(text, { base: '/', source: 'x.xml' });
      read += 1;
      return imported;
    });
  }
  t.ok(read > 10, `${read} were still XML`);
  t.end();
});

t.test('domains with elements and values that are damaged, but XML (1500 seeds)', (t) => {
  const values = [
    '',
    '0',
    '-1',
    '99999999999999999999',
    '__proto__',
    '../x',
    '&#0;',
    '&lt;',
    'kvm',
    'none',
    'virtio',
    'qcow2',
  ];
  for (let seed = 1; seed <= 1500; seed++) {
    const random = seeded(seed);
    const text = domain.replace(/'[^'?]*'/g, (value) =>
      random() < 0.15 ? `'${values[Math.floor(random() * values.length)]!}'` : value,
    );
    const fewer = text.replace(/<(\w+)[^<>]*\/>/g, (element) => (random() < 0.1 ? '' : element));
    trying(t, seed, () => importLibvirt(fewer, { base: '/', source: 'x.xml' }));
  }
  t.end();
});
