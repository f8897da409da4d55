// A domain's disks.
import { cachingReason, cdromReason, diskSource, driverReason, importDisk } from './disk-source.js';
import type { Draft } from './draft.js';
import { deviceReason } from './profile-reason.js';
import { refuse } from './libvirt-board.js';
import type { XmlElement } from './xml.js';

/** What the guest does not see: how the host reads and writes, and names of libvirt's. */
const unseen = ['backingStore', 'alias', 'address', 'blockio', 'iotune', 'throttlefilters'];

/** Adds a disk; its index and boot order, where it has one. */
export function importDomainDisk(draft: Draft, element: XmlElement): { index: number; order: number } | null {
  const device = element.attribute('device') ?? 'disk';
  const type = element.attribute('type') ?? 'file';
  const target = element.child('target');
  const [dev, bus] = [target?.attribute('dev') ?? '', target?.attribute('bus')];
  const input = `${element.path} ${device} ${dev}`.trim();
  for (const name of ['snapshot', 'model', 'rawio', 'sgio']) element.attribute(name);
  for (const name of ['tray', 'removable', 'rotation_rate']) target?.attribute(name);
  for (const name of unseen) element.child(name)?.readWhole();
  if (device !== 'disk' && device !== 'cdrom') {
    refuse('a spec has virtio-blk disks only')(draft, element);
    return null;
  }
  const driver = element.child('driver');
  const format = driver?.attribute('type');
  driver?.attribute('name');
  if (driver !== undefined) {
    const details = [...driver.unread()];
    driver.readWhole();
    for (const detail of details) draft.leftOut(detail, cachingReason);
  }
  const source = element.child('source');
  const readonly = element.child('readonly') !== undefined || device === 'cdrom';
  for (const name of [
    'transient',
    'shareable',
    'serial',
    'wwn',
    'vendor',
    'product',
    'encryption',
    'mirror',
    'geometry',
  ]) {
    const found = element.child(name);
    if (found === undefined) continue;
    found.readWhole();
    draft.refused(found.summary(), 'a spec has no field for it, and the guest would miss it');
  }
  const order = element.childAttribute('boot', 'order');
  element.child('boot')?.readWhole();
  const file = type === 'file' || type === 'block' ? source?.attribute(type === 'file' ? 'file' : 'dev') : undefined;
  for (const name of ['startupPolicy', 'index']) source?.attribute(name);
  source?.child('seclabel')?.readWhole();
  if (type !== 'file' && type !== 'block') {
    source?.readWhole();
    draft.refused(`${input} ${source?.summary() ?? ''}`, `a disk of a spec is a file or block device, not ${type}`);
    return null;
  }
  const found = diskSource(file === undefined ? '' : `file:${file}`);
  if (!('file' in found) || found.file === '') {
    draft.leftOut(input, 'a drive without an image');
    return null;
  }
  // libvirt's own default is raw: unlike QEMU it never guesses.
  const index = importDisk(draft, {
    input,
    file: found.file,
    format: format ?? 'raw',
    readonly,
    change: change(device, bus, dev),
  });
  return index === null ? null : { index, order: order === undefined ? NaN : Number(order) };
}

function change(device: string, bus: string | undefined, dev: string): string | null {
  if (device === 'cdrom') return cdromReason;
  // Without a bus libvirt goes by the name.
  const connected = bus ?? (dev.startsWith('vd') ? 'virtio' : dev.startsWith('hd') ? 'ide' : 'scsi');
  if (connected === 'virtio') return null;
  const kind = connected === 'sata' ? 'ahci' : connected;
  return `${deviceReason(kind)}; ${driverReason}`;
}
