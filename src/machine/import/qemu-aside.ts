// Options that a spec has nothing for: those about the host's side of things, which the guest never sees, and those that the
// guest would miss. One table, so that each has one reason.
import { deviceReason } from './profile-reason.js';
import type { OptionHandler } from './qemu-state.js';

export const firmwareReason = "a spec has no field for firmware: QEMU's own SeaBIOS boots, and a UEFI guest would not";
export const incomingReason = "a spec starts a machine from nothing; another QEMU's state does not fit it";
export const hostReason = 'how the host runs QEMU is not part of a machine';

const always = 'trmig always does so';
const monitors = 'trmig has a QMP socket of its own, in the folder of the machine';
const diagnostics = "QEMU's diagnostics are not part of a machine";
const noField = 'a spec has no field for it, and the guest would miss it';
const rebooting = "a guest's reboot resets it, a power-off ends it";

const kept = (reason: string): OptionHandler => {
  return ({ draft }, _, input) => draft.kept(input, null, reason);
};
const leftOut = (reason: string): OptionHandler => {
  return ({ draft }, _, input) => draft.leftOut(input, reason);
};
const refused = (reason: string): OptionHandler => {
  return ({ draft }, _, input) => draft.refused(input, reason);
};

/** Left out, for the profile's reason against that device; `none` is what trmig does anyway. */
const device = (name: string): OptionHandler => {
  return ({ draft }, value, input) => {
    if (/^(none|driver=none)\b/.test(value)) draft.kept(input, null, always);
    else draft.leftOut(input, deviceReason(name));
  };
};
const unlessNone = (handler: OptionHandler): OptionHandler => {
  return (state, value, input) => {
    if (value === 'none') kept(always)(state, value, input);
    else handler(state, value, input);
  };
};

const display: OptionHandler = (state, value, input) => {
  state.displaySaid = true;
  device('VGA')(state, value, input);
};

const alike = (handler: OptionHandler, ...names: string[]): [string, OptionHandler][] =>
  names.map((name) => [name, handler]);

/** Properties that libvirt sets on every machine; a guest does without. */
const globalDetail = /^(PIIX4_PM|ICH9-LPC)\.disable_s[34]=|^kvm-pit\.lost_tick_policy=/;

export const asideOptions: Readonly<Record<string, OptionHandler>> = Object.fromEntries([
  ...alike(kept(always), 'daemonize', 'no-user-config', 'nodefconfig'),
  ...alike(display, 'display', 'vga', 'vnc', 'spice', 'sdl', 'curses'),
  ...alike(
    leftOut(deviceReason('VGA')),
    'full-screen',
    'g',
    'k',
    'no-quit',
    'no-frame',
    'alt-grab',
    'ctrl-grab',
    'portrait',
  ),
  ...alike(device('intel-hda'), 'audio', 'audiodev', 'soundhw'),
  ...alike(leftOut(deviceReason('usb')), 'usb', 'usbdevice'),
  ...alike(leftOut(deviceReason('virtio-balloon')), 'balloon'),
  ...alike(unlessNone(leftOut(monitors)), 'monitor', 'qmp', 'qmp-pretty', 'mon'),
  ...alike(leftOut('the pid file is in the folder of the machine'), 'pidfile'),
  ...alike(leftOut(diagnostics), 'd', 'D', 'dfilter', 'trace', 'msg', 'debugcon', 'gdb', 's', 'singlestep'),
  ...alike(leftOut(diagnostics), 'enable-sync-profile', 'perfmap', 'jitdump', 'dump-vmstate', 'echr', 'writeconfig'),
  ...alike(leftOut(hostReason), 'sandbox', 'run-with', 'runas', 'chroot', 'overcommit', 'mem-prealloc', 'mem-path'),
  ...alike(leftOut(hostReason), 'realtime', 'async-teardown', 'seed', 'tb-size', 'compat', 'only-migratable'),
  ...alike(leftOut(hostReason), 'no-kvm-irqchip', 'no-kvm-pit', 'win2k-hack', 'no-fd-bootchk', 'rtc-td-hack'),
  ...alike(leftOut('start it with trmig run --paused'), 'S'),
  ...alike(leftOut(rebooting), 'no-reboot', 'no-shutdown', 'action', 'watchdog-action'),
  ...alike(leftOut('it has not been shown to replay'), 'watchdog'),
  ...alike(leftOut("a machine's UUID is QEMU's default"), 'uuid'),
  ...alike(leftOut('there is one vCPU, and one node of memory'), 'numa'),
  ...alike(refused(firmwareReason), 'bios', 'pflash', 'option-rom', 'L'),
  ...alike(refused('the writes would go to the image itself: give a copy of it, or add readonly: on'), 'snapshot'),
  ...alike(refused(incomingReason), 'incoming', 'loadvm', 'preconfig'),
  ...alike(refused('the options in that file are not seen here: write them out'), 'readconfig'),
  ...alike(refused("trmig's tracer is the only plugin of its machines"), 'plugin'),
  ...alike(refused("a host's folder is no part of a machine: a destination has another"), 'fsdev', 'virtfs'),
  ...alike(refused('a security chip has state that a spec does not carry'), 'tpmdev'),
  ...alike(refused(noField), 'acpitable', 'smbios', 'fw_cfg', 'dtb', 'shim', 'no-acpi', 'virtioconsole', 'bt'),
  ...alike(refused(noField), 'fda', 'fdb', 'mtdblock', 'sd', 'iscsi', 'prom-env', 'semihosting', 'semihosting-config'),
  ...alike(refused(noField), 'old-param', 'add-fd', 'set', 'qtest', 'qtest-log', 'startdate', 'clock'),
  ...alike(refused(noField), 'xen-domid', 'xen-attach', 'xen-domid-restrict'),
  ...alike(refused('this asks QEMU something, and starts nothing'), 'help', 'h', 'version'),
]);

/** Those with more to them than a reason. */
export const furtherOptions: Readonly<Record<string, OptionHandler>> = {
  parallel: unlessNone(refused(noField)),
  nodefaults: (state, value, input) => {
    state.nodefaults = true;
    kept(always)(state, value, input);
  },
  global: (state, value, input) => {
    if (globalDetail.test(value)) leftOut('QEMU has its default for it')(state, value, input);
    else refused('a property of devices that a spec has no field for')(state, value, input);
  },
  boot: (state, value, input) => {
    const [, order = ''] = /(?:^|[,]|order=|once=)([a-p]+)(?:,|$)/.exec(value) ?? [];
    if (order.startsWith('n'))
      refused('a machine does not boot from a network: give it a kernel or a disk')(state, value, input);
    else if (/^(order=)?c/.test(value)) kept('the firmware boots from the first disk')(state, value, input);
    else leftOut('the firmware boots from the first disk; put the one to boot from first')(state, value, input);
  },
};
