// A domain's devices other than disks and nics: what the profile has against each is asked of it under QEMU's name.
import { pciTopology } from './device-kinds.js';
import type { Draft } from './draft.js';
import { importDomainDisk } from './libvirt-disks.js';
import { importDomainNic } from './libvirt-nics.js';
import { leaveOut, refuse } from './libvirt-board.js';
import { deviceAdvice, deviceReason } from './profile-reason.js';
import { consoleReason } from './qemu-consoles.js';
import { entropyReason, portReason, topologyReason } from './qemu-devices.js';
import type { XmlElement } from './xml.js';

type ElementHandler = (draft: Draft, element: XmlElement) => void;

const leaveOutLike = (device: string): ElementHandler => leaveOut(deviceReason(device));
const refuseLike = (device: string): ElementHandler => refuse(deviceAdvice(device));

const controller: ElementHandler = (draft, element) => {
  const [type, model] = [element.attribute('type') ?? '', element.attribute('model') ?? ''];
  if (type === 'virtio-serial') {
    element.readWhole();
    draft.kept(element.summary(), draft.addDevice('virtio-serial'));
  } else if (type === 'pci' || pciTopology.test(model)) leaveOut(topologyReason)(draft, element);
  else if (/^(ide|sata|scsi|fdc)$/.test(type)) leaveOutLike(type === 'sata' ? 'ahci' : type)(draft, element);
  else if (type === 'usb') leaveOutLike('usb')(draft, element);
  else refuseLike(type)(draft, element);
};

const rng: ElementHandler = (draft, element) => {
  element.readWhole();
  const model = element.attribute('model') ?? '';
  if (model.startsWith('virtio')) draft.changed(element.summary(), draft.addDevice('virtio-rng'), entropyReason);
  else draft.refused(element.summary(), 'a spec has virtio-rng only');
};

const emulator = leaveOut('trmig finds its QEMU; the field qemu.binary names another');

const unlessNone =
  (handler: ElementHandler, kept: string): ElementHandler =>
  (draft, element) => {
    if (element.attribute('model') !== 'none' && element.attribute('type') !== 'none') return handler(draft, element);
    element.readWhole();
    draft.kept(element.summary(), null, kept);
  };

const handlers: Readonly<Record<string, ElementHandler>> = {
  emulator,
  controller,
  rng,
  interface: importDomainNic,
  channel: leaveOut(portReason),
  parallel: refuse('a spec has no parallel port'),
  graphics: leaveOutLike('VGA'),
  video: unlessNone(leaveOutLike('VGA'), 'trmig always does so'),
  sound: leaveOutLike('intel-hda'),
  audio: leaveOutLike('intel-hda'),
  input: (draft, element) => {
    const usual = element.attribute('bus') === 'ps2';
    if (!usual) return leaveOutLike('usb')(draft, element);
    element.readWhole();
    draft.kept(element.summary(), null, 'the board has it');
  },
  hub: leaveOutLike('usb'),
  redirdev: leaveOutLike('usb'),
  redirfilter: leaveOutLike('usb'),
  smartcard: refuseLike('usb'),
  memballoon: unlessNone(leaveOutLike('virtio-balloon'), 'trmig always does so'),
  watchdog: leaveOutLike('i6300esb'),
  panic: leaveOutLike('pvpanic'),
  hostdev: refuseLike('vfio-pci'),
  shmem: refuseLike('ivshmem-plain'),
  vsock: refuseLike('vhost-vsock-pci'),
  tpm: refuse('a security chip has state that a spec does not carry'),
  filesystem: refuse("a host's folder is no part of a machine: a destination has another"),
  memory: refuse('no memory is plugged in later'),
  lease: leaveOut("trmig's ownership journal says who may run the machine"),
};

/** Reads all devices, in their order. */
export function importDevices(draft: Draft, devices: XmlElement): void {
  const order: { index: number; order: number }[] = [];
  for (const element of devices.children()) {
    draft.at += 1;
    if (element.name === 'disk') {
      const disk = importDomainDisk(draft, element);
      if (disk !== null && Number.isFinite(disk.order)) order.push(disk);
    } else if (element.name !== 'serial' && element.name !== 'console') {
      (handlers[element.name] ?? refuse('a spec has no field for it'))(draft, element);
    }
  }
  const [first] = order.sort((a, b) => a.order - b.order);
  if (first !== undefined && first.index !== 0) {
    const reason = `the firmware boots from the first disk: move disks[${first.index}] to the front`;
    draft.refused(`devices/disk boot order=${first.order}`, reason);
  }
  consoles(draft, devices);
}

/** The first serial port, which libvirt writes as a console too. */
function consoles(draft: Draft, devices: XmlElement): void {
  const ports = devices.children('serial');
  const mirrors = devices.children('console');
  const serial = mirrors.filter((element) => (element.childAttribute('target', 'type') ?? 'serial') === 'serial');
  const all = [...(ports.length > 0 ? ports : serial), ...mirrors.filter((element) => !serial.includes(element))];
  for (const [index, element] of all.entries()) {
    element.readWhole();
    if (index === 0 && serial.length + ports.length > 0)
      draft.changed(element.summary(), 'console: serial', consoleReason);
    else draft.refused(element.summary(), 'a spec has one serial port');
  }
  for (const element of serial) element.readWhole();
  draft.fields.console = serial.length + ports.length > 0 ? 'serial' : 'none';
  if (serial.length + ports.length === 0) draft.kept('(no devices/serial)', 'console: none');
}
