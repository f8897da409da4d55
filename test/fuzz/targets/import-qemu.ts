// A QEMU command line to be imported, a word a line. What is called complete reads back as a spec that the profile takes.
import { importQemu, undecided } from '../../../src/machine/import/index.js';
import { profileFindings } from '../../../src/machine/profile.js';
import { readBack, words } from '../../machine/import-text.js';
import { attempt, must, type Target } from '../target.js';

const line = `qemu-system-x86_64 -name web -machine q35,accel=kvm:tcg,hpet=on -cpu host,+aes -smp 4 -m size=2G,slots=2 -kernel
  vmlinuz -initrd initrd -append console=ttyS0 -drive file=a,,b.qcow2,if=virtio,format=qcow2,cache=none -drive if=none,id=d,file=b.raw
  -device scsi-cd,drive=d,bootindex=1 -blockdev {"driver":"qcow2","node-name":"q","file":{"driver":"file","filename":"/c"}}
  -device virtio-blk-pci,drive=q -hda c.img -cdrom d.iso -netdev tap,id=n,ifname=tap0 -device e1000,netdev=n -nic user -object
  rng-random,id=r -device virtio-rng-pci,rng=r -serial mon:stdio -nographic -rtc base=utc,clock=vm -icount shift=auto -boot order=dc`;

export const target: Target = {
  seeds: () => [
    Buffer.from(words(line).join('\n')),
    ...words(line).flatMap((word, at, all) =>
      word.startsWith('-') ? [Buffer.from(['qemu-system-x86_64', word, all[at + 1] ?? ''].join('\n'))] : [],
    ),
  ],
  run: (bytes) => {
    const argv = bytes.toString('utf8').split('\n');
    const imported = attempt(() => importQemu(argv, { base: '/vm' }));
    if (imported === undefined || undecided(imported).length > 0) return;
    must(profileFindings(readBack(imported)).length === 0, 'it is called complete, and is not in the profile');
  },
};
