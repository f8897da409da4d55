// -drive, -hda and its like, -blockdev, and the devices that use them.
import { cachingOption, cachingReason, cdromReason, diskSource, driverReason, importDisk } from './disk-source.js';
import { otherDisk, placement, virtioBlk } from './device-kinds.js';
import { OptionString, isOn } from './option-string.js';
import { deviceReason } from './profile-reason.js';
import { firmwareReason } from './qemu-aside.js';
import { resolveNode } from './qemu-nodes.js';
import { define, notJson, refuseRest, type DeviceRequest, type OptionHandler, type QemuState } from './qemu-state.js';

/** How a disk is connected to the guest: null is virtio-blk, else why it will be. */
type Connection = string | null;

const drive: OptionHandler = (state, value, input) => {
  const { draft } = state;
  const options = OptionString.parse(value);
  if (options === null) return draft.refused(input, notJson);
  const bus = options.take('if') ?? (state.draft.fields.board === 'virt' ? 'virtio' : 'ide');
  const id = options.take('id');
  if (bus === 'none') define(draft, state.drives, id, { input, options });
  else if (bus === 'pflash') draft.refused(input, firmwareReason);
  else if (bus === 'virtio') addDrive(state, input, options, null);
  else if (bus === 'ide' || bus === 'scsi' || bus === 'sd') {
    addDrive(state, input, options, `${deviceReason(bus)}; ${driverReason}`);
  } else draft.refused(input, 'a spec has virtio-blk disks only');
};

/** A disk by its drive's options. */
function addDrive(state: QemuState, input: string, options: OptionString, connection: Connection): number | null {
  const { draft } = state;
  const cdrom = options.take('media') === 'cdrom';
  const [file, inner] = [options.take('file'), options.take('file.filename')];
  const protocol = options.take('file.driver') ?? 'file';
  // `driver` is the newer name of `format`.
  const [format, driver] = [options.take('format'), options.take('driver')];
  const readonly = [options.take('readonly'), options.take('read-only')].some(isOn);
  const source = diskSource(protocol === 'file' || protocol === 'host_device' ? (file ?? inner ?? '') : `${protocol}:`);
  const change = cdrom ? cdromReason : connection;
  let index: number | null = null;
  if ('refusal' in source) draft.refused(input, source.refusal);
  else if ('empty' in source) draft.leftOut(input, 'a drive without an image');
  else {
    index = importDisk(draft, {
      input,
      file: source.file,
      format: format ?? driver ?? (cdrom ? 'raw' : undefined),
      readonly: readonly || cdrom,
      change,
    });
  }
  if (isOn(options.take('snapshot'))) {
    draft.refused(
      '-drive snapshot=on',
      'the writes would go to the image itself: give a copy of it, or add readonly: on',
    );
  }
  const caching = options.takeAll(cachingOption);
  if (caching.length > 0) draft.leftOut(`-drive ${caching.join(',')}`, cachingReason);
  const places = options.takeAll(/^(index|bus|unit|addr|node-name|media)$/);
  if (places.length > 0) draft.leftOut(`-drive ${places.join(',')}`, "disks are in the spec's order");
  refuseRest(draft, '-drive', options);
  return index;
}

/** A disk image by its path alone: the IDE disks, and the cdrom. */
const image =
  (media: 'disk' | 'cdrom'): OptionHandler =>
  (state, value, input) => {
    const options = OptionString.parse(`media=${media},file=${value.replaceAll(',', ',,')}`)!;
    addDrive(state, input, options, `${deviceReason('ide')}; ${driverReason}`);
  };

const blockdev: OptionHandler = ({ draft, nodes }, value, input) => {
  const options = OptionString.parse(value);
  if (options === null) draft.refused(input, notJson);
  else define(draft, nodes, options.take('node-name'), { input, options });
};

export const diskOptions: Readonly<Record<string, OptionHandler>> = {
  drive,
  blockdev,
  hda: image('disk'),
  hdb: image('disk'),
  hdc: image('disk'),
  hdd: image('disk'),
  cdrom: image('cdrom'),
  // A word that is no option is a disk image, to QEMU.
  '': image('disk'),
};

/** Whether a device is a disk; if so it is connected to its drive. */
export function diskDevice(state: QemuState, { input, driver, options }: DeviceRequest): boolean {
  if (!virtioBlk.test(driver) && !otherDisk.test(driver)) return false;
  const { draft } = state;
  const connection = virtioBlk.test(driver) ? null : `${deviceReason(driver)}; ${driverReason}`;
  const cdrom = /-cd$/.test(driver);
  const name = options.take('drive');
  const known = name === undefined ? undefined : state.drives.get(name);
  let index: number | null = null;
  if (name === undefined) draft.refused(input, 'it has no drive');
  else if (known !== undefined) {
    known.used = true;
    index = addDrive(state, known.input, known.options, cdrom ? cdromReason : connection);
    if (connection === null) draft.kept(input, index === null ? null : `disks[${index}]`);
    else draft.changed(input, index === null ? null : `disks[${index}]`, connection);
  } else index = addNode(state, input, name, cdrom, connection);
  const bootindex = options.take('bootindex');
  if (bootindex !== undefined && index !== null) state.bootOrder.set(index, Number(bootindex));
  const caching = options.takeAll(
    /^(write-cache|werror|rerror|iothread.*|num-queues|queue-size|scsi|config-wce|ioeventfd|share-rw|.*block_size|discard.*|event_idx|packed|iommu_platform|disable-.*|ats|scsi-id|lun|channel|device_id|unit|rotation_rate|removable)$/,
  );
  if (caching.length > 0)
    draft.leftOut(`-device ${driver} ${caching.join(',')}`, "the device is as QEMU's default has it");
  options.takeAll(placement);
  refuseRest(draft, `-device ${driver}`, options);
  return true;
}

function addNode(state: QemuState, input: string, name: string, cdrom: boolean, connection: Connection): number | null {
  const { draft } = state;
  const found = resolveNode(state, name);
  const { at } = draft;
  if ('refusal' in found) {
    for (const node of [{ input, at }, ...found.path]) {
      draft.at = node.at;
      draft.refused(node.input, found.refusal);
    }
    draft.at = at;
    return null;
  }
  const { file, format, readonly, caching, others, path } = found;
  const change = cdrom ? cdromReason : connection;
  const index = importDisk(draft, { input, file, format, readonly: readonly || cdrom, change });
  for (const node of path) {
    draft.at = node.at;
    draft.kept(node.input, index === null ? null : `disks[${index}]`);
  }
  draft.at = at;
  if (caching.length > 0) draft.leftOut(`-blockdev ${caching.join(',')}`, cachingReason);
  for (const other of others) {
    draft.refused(`-blockdev ${other}`, other.startsWith('backing') ? backingReason : 'a spec has no field for it');
  }
  return index;
}

const backingReason = "an image's backing file is the one that its header names: see qemu-img info";

/** Drives that no device uses, and where the firmware boots from. */
export function finishDisks(state: QemuState): void {
  const { draft } = state;
  for (const { used, at, input, options } of [...state.drives.values(), ...state.nodes.values()]) {
    if (used) continue;
    draft.at = at;
    options.takeAll(/./);
    draft.leftOut(input, 'no device uses it');
  }
  const [first] = [...state.bootOrder].sort(([, a], [, b]) => a - b);
  if (first === undefined || first[0] === 0) return;
  draft.refused(
    `bootindex=${first[1]}`,
    `the firmware boots from the first disk: move disks[${first[0]}] to the front`,
  );
}
