// QEMU command lines as manuals and forums have them, and what a spec makes of each.
import t from 'tap';
import { derivedMac } from '../../src/machine/import/draft.js';
import { importQemu, undecided, type Imported } from '../../src/machine/import/index.js';
import { profileFindings } from '../../src/machine/profile.js';
import { thrownBy } from './fake-peer.js';
import { lines, readBack, refusedInputs, words } from './import-text.js';

const take = (line: string, name?: string): Imported => importQemu(words(line), { base: '/vm', name });

interface Case {
  readonly from: string;
  readonly line: string;
  /** Fields of the spec. */
  readonly spec: object;
  /** What is refused; nothing when left out. */
  readonly refused?: readonly string[];
  readonly said?: readonly RegExp[];
}

const cases: readonly Case[] = [
  {
    from: 'a kernel developer',
    line: "qemu-system-x86_64 -kernel bzImage -initrd /srv/rootfs.cpio.gz -append 'console=ttyS0 nokaslr panic=-1' -nographic -no-reboot -m 512 -s -S",
    spec: {
      name: 'machine',
      memory: '512M',
      kernel: '/vm/bzImage',
      initrd: '/srv/rootfs.cpio.gz',
      append: 'console=ttyS0 nokaslr panic=-1',
      nics: [{ backend: 'user', mac: derivedMac('machine', 0) }],
    },
    said: [
      /^kept \| -kernel bzImage \| kernel: \/vm\/bzImage/,
      /^kept \| -nographic \| console: serial/,
      /^changed \| -S \| - \| left out: .*trmig run --paused/,
      /^changed \| \(no -nic\) \| nics\[0\]: user \| its packets are not in the log/,
      /^changed \| \(no name\) \| name: machine/,
    ],
  },
  {
    from: 'a KVM guest on a tap device',
    line: 'qemu-system-x86_64 -name web -machine q35,accel=kvm -cpu host -smp 4 -m 4G -drive file=/srv/web.qcow2,format=qcow2,if=virtio,cache=none,aio=native -netdev tap,id=n0,ifname=tap0,script=no,downscript=no,vhost=on -device virtio-net-pci,netdev=n0,mac=52:54:00:AA:00:01 -display none -daemonize -pidfile /run/web.pid -monitor unix:/run/web.mon,server,nowait -serial file:/var/log/web',
    spec: {
      name: 'web',
      board: 'q35',
      cpu: 'max',
      memory: '4G',
      disks: [{ file: '/srv/web.qcow2', format: 'qcow2' }],
      nics: [{ backend: 'tap', interface: 'tap0', mac: '52:54:00:aa:00:01' }],
      console: 'serial',
    },
    said: [
      /^changed \| -machine accel=kvm \| accel: tcg \| KVM does not say at which instruction/,
      /^changed \| -smp 4 \| smp: 1 \| a log replays on one vCPU only \(strategy precopy, postcopy, hybrid/,
      /^changed \| -cpu host \| cpu: max/,
      /^changed \| -drive cache=none,aio=native \| - \| left out/,
      /^changed \| -netdev vhost=on \| - \| left out: a device outside QEMU writes guest memory unseen/,
      /^kept \| -device virtio-net-pci,.* \| nics\[0\]: tap tap0/,
      /^kept \| -daemonize/,
      /^kept \| -display none/,
    ],
  },
  {
    from: 'a first desktop',
    line: 'qemu-system-x86_64 -enable-kvm -m 4096 -hda ubuntu.qcow2 -cdrom ubuntu.iso -boot d -vga virtio -usb -device usb-tablet -soundhw hda',
    spec: {
      name: 'ubuntu',
      memory: '4G',
      disks: [
        { file: '/vm/ubuntu.qcow2', format: 'qcow2' },
        { file: '/vm/ubuntu.iso', format: 'raw', readonly: true },
      ],
      nics: [{ backend: 'user', mac: derivedMac('ubuntu', 0) }],
    },
    said: [
      /^changed \| -enable-kvm \| accel: tcg/,
      /^changed \| -hda ubuntu.qcow2 \| disks\[0\].* \| its completions do not replay .*virtio driver/,
      /^changed \| -cdrom ubuntu.iso \| disks\[1\].* readonly virtio-blk/,
      /^changed \| -usb \| - \| left out: USB frames are timed by the host/,
      /^changed \| -device usb-tablet \| - \| left out: USB/,
      /^changed \| -vga virtio \| - \| left out: displays/,
      /^changed \| -soundhw hda \| - \| left out: sound/,
    ],
  },
  {
    from: 'ssh by a forwarded port',
    line: 'qemu-system-x86_64 -m 1G -drive file=d.raw,format=raw,if=virtio -nic user,model=virtio-net-pci,hostfwd=tcp::2222-:22 -display none',
    spec: { nics: [{ backend: 'user', mac: derivedMac('d', 0) }] },
    refused: ['-nic hostfwd=tcp::2222-:22'],
  },
  {
    from: 'the older way of networks',
    line: 'kvm -m 256 -net nic,model=rtl8139,macaddr=52:54:00:00:00:07 -net user -nographic',
    spec: { nics: [{ backend: 'user', mac: '52:54:00:00:00:07' }] },
    said: [/^changed \| kvm \| accel: tcg/, /^changed \| -net nic,.* \| nics\[0\]: user \| its packets/],
  },
  {
    from: 'a UEFI guest',
    line: 'qemu-system-x86_64 -name uefi -m 2G -drive if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE.fd -drive if=pflash,format=raw,file=vars.fd -drive if=virtio,file=d.qcow2,format=qcow2 -net none',
    spec: { disks: [{ file: '/vm/d.qcow2', format: 'qcow2' }] },
    refused: [
      '-drive if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE.fd',
      '-drive if=pflash,format=raw,file=vars.fd',
    ],
    said: [/a spec has no field for firmware/],
  },
  {
    from: 'drives with devices of their own',
    line: 'qemu-system-x86_64 -nodefaults -m size=1G,slots=2,maxmem=4G -smp cpus=1,sockets=1 -device virtio-blk-pci,drive=d0,bootindex=1,serial=abc -drive if=none,id=d0,file=a,,b.img,format=raw -drive if=none,id=d1,file=b.qcow2 -device virtio-scsi-pci,id=s -device scsi-hd,bus=s.0,drive=d1 -object rng-random,id=r,filename=/dev/urandom -device virtio-rng-pci,rng=r -serial stdio',
    spec: {
      name: 'a-b',
      memory: '1G',
      disks: [
        { file: '/vm/a,b.img', format: 'raw' },
        { file: '/vm/b.qcow2', format: 'qcow2' },
      ],
      devices: ['virtio-rng'],
      console: 'serial',
    },
    refused: ['-device virtio-blk-pci serial=abc'],
    said: [
      /^kept \| -smp cpus=1,sockets=1 \| smp: 1/,
      /^changed \| -device scsi-hd,.* \| disks\[1\] \| its completions/,
    ],
  },
  {
    from: 'block nodes, as libvirt and the manual have them',
    line: `qemu-system-x86_64 -nodefaults -m 1G -nic none -blockdev '{"driver":"file","filename":"/srv/a.qcow2","node-name":"f","cache":{"direct":true},"read-only":false}' -blockdev '{"node-name":"q","driver":"qcow2","file":"f"}' -device '{"driver":"virtio-blk-pci","drive":"q","id":"v0","bus":"pci.0","addr":"0x4"}' -blockdev driver=raw,node-name=r,read-only=on,file.driver=host_device,file.filename=/dev/vg/b -device virtio-blk-pci,drive=r -blockdev driver=nbd,node-name=n,server.type=unix,server.path=/run/n -device virtio-blk-pci,drive=n`,
    spec: {
      disks: [
        { file: '/srv/a.qcow2', format: 'qcow2' },
        { file: '/dev/vg/b', format: 'raw', readonly: true },
      ],
      console: 'none',
    },
    refused: ['-blockdev driver=nbd,node-name=n,server.type=unix,server.path=/run/n', '-device virtio-blk-pci,drive=n'],
    said: [/^changed \| -blockdev cache.direct=on \| - \| left out/, /^kept \| -blockdev driver=raw,.* \| disks\[1\]/],
  },
  {
    from: 'cloud-init by SMBIOS',
    line: "qemu-system-x86_64 -m 512 -drive file=cloud.img,if=virtio -smbios 'type=1,serial=ds=nocloud;s=http://10.0.2.2:8000/' -nographic -nic none",
    spec: { disks: [{ file: '/vm/cloud.img' }] },
    refused: ['-drive file=cloud.img,if=virtio', '-smbios type=1,serial=ds=nocloud;s=http://10.0.2.2:8000/'],
    said: [/qemu-img info/],
  },
  {
    from: 'an image in a network',
    line: 'qemu-system-x86_64 -m 1G -drive file=nbd:localhost:10809,if=virtio,format=raw -drive file=rbd:pool/image,if=virtio -nic none -snapshot',
    spec: {},
    refused: [
      '-drive file=nbd:localhost:10809,if=virtio,format=raw',
      '-drive file=rbd:pool/image,if=virtio',
      '-snapshot',
    ],
  },
  {
    from: 'passthrough',
    line: 'qemu-system-x86_64 -m 8G -nic none -device vfio-pci,host=01:00.0 -device vhost-vsock-pci,guest-cid=3 -tpmdev emulator,id=t,chardev=c -device tpm-tis,tpmdev=t -incoming tcp:0:4444 -virtfs local,path=/srv,mount_tag=h,security_model=none',
    spec: { memory: '8G' },
    refused: [
      '-device vfio-pci,host=01:00.0',
      '-device vhost-vsock-pci,guest-cid=3',
      '-tpmdev emulator,id=t,chardev=c',
      '-device tpm-tis,tpmdev=t',
      '-incoming tcp:0:4444',
      '-virtfs local,path=/srv,mount_tag=h,security_model=none',
    ],
    said: [/^refused \| -device vfio-pci.* a device outside QEMU .*; use the virtio device of that kind/],
  },
  {
    from: 'icount and clocks',
    line: 'qemu-system-x86_64 -m 64M -M pc-i440fx-8.2,hpet=on -accel tcg,thread=multi -icount shift=3,sleep=off -rtc base=localtime,clock=vm -nic none -nographic',
    spec: { board: 'pc', shift: 3 },
    said: [
      /^changed \| -M pc-i440fx-8.2 \| board: pc/,
      /^changed \| -M hpet=on \| hpet: off \| the HPET has state that QEMU 10.0 does not migrate/,
      /^changed \| -accel thread=multi/,
      /^kept \| -icount shift=3 \| shift: 3/,
      /^changed \| -rtc clock=vm \| rtc: host \| an RTC on that clock hangs/,
      /^changed \| -rtc base=localtime/,
    ],
  },
];

for (const { from, line, spec, refused = [], said = [] } of cases) {
  t.test(`from ${from}`, (t) => {
    const imported = take(line);
    t.match(imported.spec, spec);
    t.same(refusedInputs(imported), refused);
    for (const pattern of said)
      t.ok(
        lines(imported).some((text) => pattern.test(text)),
        `${pattern}`,
      );
    if (undecided(imported).length === 0) {
      const read = readBack(imported);
      t.same(profileFindings(read), [], 'fits the profile');
      t.equal(read.name, imported.spec.name);
    } else t.not(refused.length, 0, 'what is not complete was refused');
    t.end();
  });
}

t.test('every word is in a finding', (t) => {
  for (const { line } of cases) {
    const said = lines(take(line)).join('\n');
    for (const word of words(line)) {
      // Values of an option are told in pieces where they fare differently.
      const pieces = word.startsWith('{') ? [] : word.split(/,(?!,)/).filter((piece) => !piece.startsWith(','));
      for (const piece of pieces) {
        if (/^(id|bus|rng|drive|netdev|sockets|size|type)=|^(tcg|pc|q35)$/.test(piece)) continue;
        t.ok(said.includes(piece), `${piece} of ${line.slice(0, 60)}`);
      }
    }
  }
  t.end();
});

t.test('an option that nobody knows is refused by name, with what follows it', (t) => {
  const imported = take('qemu-system-x86_64 -m 1G -frobnicate hard --quux -nic none -m');
  t.same(refusedInputs(imported), ['-frobnicate hard', '--quux', '-m']);
  t.match(undecided(imported)[0], /-frobnicate hard: .*no option of QEMU/);
  t.same(refusedInputs(take('qemu-system-x86_64 -m 1G -nic none -device frob,x=1')), ['-device frob,x=1']);
  t.same(refusedInputs(take('qemu-system-x86_64 -m 1G -nic user,frob=1 -machine pc,frob=2')), [
    '-nic frob=1',
    '-machine frob=2',
  ]);
  t.end();
});

t.test('a missing address is made of the name and the index, and the same each time', (t) => {
  const line = 'qemu-system-x86_64 -m 1G -nic tap,ifname=t0,model=virtio-net-pci -nic tap,model=virtio-net-pci';
  const [one, again, other] = [take(line, 'web'), take(line, 'web'), take(line, 'db')];
  t.strictSame(one, again);
  const macs = one.spec.nics!.map(({ mac }) => mac);
  t.equal(new Set([...macs, ...other.spec.nics!.map(({ mac }) => mac)]).size, 4);
  for (const mac of macs) t.match(mac, /^02(:[0-9a-f]{2}){5}$/, 'locally administered, unicast');
  t.same(
    one.spec.nics!.map((nic) => nic.interface),
    ['t0', 'web-1'],
  );
  t.ok(
    lines(one).some((text) =>
      /^changed \| .*\(no mac\) \| nics\[0\]\.mac: 02:.* made from the machine's name/.test(text),
    ),
  );
  t.ok(lines(one).some((text) => /^changed \| .*\(no interface\) \| nics\[1\]\.interface: web-1/.test(text)));
  t.end();
});

t.test('names become names, and a name that was asked for stands', (t) => {
  t.equal(take('qemu-system-x86_64 -name MyVM').spec.name, 'myvm');
  t.equal(importQemu(['qemu-system-x86_64', '-name', 'guest=My VM,,1'], { base: '/' }).spec.name, 'my-vm-1');
  t.equal(take('qemu-system-x86_64 -name web', 'db').spec.name, 'db');
  t.equal(take('qemu-system-x86_64').spec.memory, '128M');
  t.end();
});

t.test('architectures and boards that trmig does not have are for a person to decide', (t) => {
  for (const [line, said] of [
    ['qemu-system-aarch64 -M virt -m 1G -nic none', /a virt machine has no firmware/],
    ['qemu-system-riscv64 -M virt -m 1G -nic none', /x86_64 and aarch64 machines only/],
    ['qemu-system-x86_64 -M microvm -m 1G -nic none', /boards pc, q35 and virt/],
    ['virt-manager -m 1G -nic none', /not the name of a QEMU/],
    ['qemu-system-x86_64 -m lots -nic none', /this is no size/],
    ['qemu-system-x86_64 -m 1G -nic none -smp none', /no number of CPUs/],
  ] as const) {
    t.ok(
      undecided(take(line)).some((text) => said.test(text)),
      line,
    );
  }
  t.same(undecided(take('qemu-system-i386 -m 1G -nic none')), []);
  t.end();
});

t.test('the firmware boots from the first disk, and who wants another one is told', (t) => {
  const disks = '-drive if=none,id=a,file=a.raw,format=raw -drive if=none,id=b,file=b.raw,format=raw';
  const imported = take(
    `qemu-system-x86_64 -m 1G -nic none ${disks} -device virtio-blk-pci,drive=a,bootindex=2 -device virtio-blk-pci,drive=b,bootindex=1`,
  );
  t.match(undecided(imported), [/bootindex=1: .*move disks\[1\] to the front/]);
  t.end();
});

t.test('block nodes that go round in a circle end', (t) => {
  const line =
    'qemu-system-x86_64 -m 1G -nic none -blockdev driver=raw,node-name=a,file=b -blockdev driver=raw,node-name=b,file=a -device virtio-blk-pci,drive=a';
  t.match(undecided(take(line)), [/circle/]);
  t.end();
});

t.test('a command line longer than any is refused', (t) => {
  const error = thrownBy(() => importQemu(['-append', 'x'.repeat(11 * 1024 * 1024)], { base: '/' }));
  t.equal(error.code, 'E_USAGE');
  t.end();
});
