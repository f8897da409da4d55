// QEMU's command line as a list of options. Which option has a value is QEMU's own table (qemu-options.hx of 10.0, and the
// options that older QEMUs had and people still have in their scripts): without it, nothing after an option can be read.

export interface QemuOption {
  /** Without dashes; empty for a disk image that stands alone. */
  readonly name: string;
  /** Empty for an option without a value. */
  readonly value: string;
  /** As it was typed. */
  readonly input: string;
  /** Its place on the command line, from 1. */
  readonly at: number;
  /** What QEMU would say against it, or null. */
  readonly problem: string | null;
}

const withValue = new Set(
  `machine M cpu accel smp numa add-fd set global boot m mem-path k audio audiodev device name uuid fda fdb hda hdb hdc hdd
  cdrom blockdev drive mtdblock sd fsdev virtfs iscsi usbdevice display spice vga g vnc acpitable smbios netdev nic net chardev
  tpmdev bios pflash kernel shim append initrd dtb compat fw_cfg serial parallel monitor qmp qmp-pretty mon debugcon pidfile
  overcommit gdb d D dfilter seed L xen-domid action loadvm option-rom rtc icount watchdog-action echr incoming prom-env
  semihosting-config sandbox readconfig trace plugin qtest qtest-log run-with msg dump-vmstate object
  soundhw balloon watchdog runas chroot writeconfig realtime tb-size bt clock virtioconsole`.split(/\s+/),
);

const alone = new Set(
  `help h version mem-prealloc snapshot usb nographic full-screen win2k-hack no-fd-bootchk preconfig S s enable-kvm xen-attach
  xen-domid-restrict no-reboot no-shutdown daemonize only-migratable nodefaults semihosting old-param no-user-config
  enable-sync-profile perfmap jitdump
  no-hpet no-acpi no-kvm no-kvm-irqchip no-kvm-pit no-quit no-frame sdl curses localtime alt-grab ctrl-grab portrait
  async-teardown singlestep nodefconfig startdate rtc-td-hack`.split(/\s+/),
);

/** Reads the arguments that follow the binary's name. Both `-m` and `--m` are right. */
export function readArgv(argv: readonly string[]): QemuOption[] {
  const options: QemuOption[] = [];
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!;
    const at = i + 1;
    if (!word.startsWith('-')) {
      options.push({ name: '', value: word, input: word, at, problem: null });
      continue;
    }
    const name = word.replace(/^--?/, '');
    if (alone.has(name)) {
      options.push({ name, value: '', input: word, at, problem: null });
      continue;
    }
    const known = withValue.has(name);
    const next = argv[i + 1];
    // An option that is not known has a value if what follows looks like one.
    const value = next !== undefined && (known || !next.startsWith('-')) ? next : undefined;
    if (value !== undefined) i += 1;
    const unknown = known ? null : 'this is no option of QEMU that trmig knows';
    options.push({
      name,
      value: value ?? '',
      input: value === undefined ? word : `${word} ${value}`,
      at,
      problem: known && value === undefined ? 'it needs a value' : unknown,
    });
  }
  return options;
}
