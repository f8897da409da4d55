// -device and -object: what a spec has for a device, and for the objects behind it.
import {
  diskController,
  dispensable,
  outside,
  pciTopology,
  placement,
  virtioRng,
  virtioSerial,
} from './device-kinds.js';
import { OptionString } from './option-string.js';
import { deviceAdvice, deviceReason } from './profile-reason.js';
import { hostReason } from './qemu-aside.js';
import { serialDevice } from './qemu-consoles.js';
import { diskDevice } from './qemu-disks.js';
import { nicDevice } from './qemu-nics.js';
import { notJson, refuseRest, type DeviceRequest, type OptionHandler, type QemuState } from './qemu-state.js';

export const topologyReason = "all devices are on the board's own bus, in the spec's order";
export const entropyReason = "the entropy is that of QEMU's own random generator";
export const portReason = 'nothing on the host would be at its other end';

const device: OptionHandler = ({ draft, devices }, value, input) => {
  const options = OptionString.parse(value, 'driver');
  const driver = options?.take('driver');
  if (options === null) draft.refused(input, notJson);
  else if (driver === undefined || driver === '') draft.refused(input, 'it names no device');
  else devices.push({ input, at: draft.at, driver, options });
};

const object: OptionHandler = ({ draft }, value, input) => {
  const options = OptionString.parse(value, 'qom-type');
  const type = options?.take('qom-type') ?? '';
  if (options === null) draft.refused(input, notJson);
  else if (type === 'rng-builtin') draft.kept(input, null, entropyReason);
  else if (type.startsWith('rng-')) draft.changed(input, null, entropyReason);
  else if (type.startsWith('memory-backend'))
    draft.leftOut(input, 'the memory of a guest is ordinary memory of its QEMU');
  else if (/^(iothread|throttle-group|main-loop|thread-context)$/.test(type)) draft.leftOut(input, hostReason);
  else if (/^(tls-creds|secret|authz)/.test(type)) draft.leftOut(input, 'nothing that a spec has needs it');
  else draft.refused(input, 'a spec has no field for it');
};

export const deviceOptions: Readonly<Record<string, OptionHandler>> = { device, object };

/** Connects the devices, in their order. */
export function finishDevices(state: QemuState): void {
  for (const request of state.devices) {
    state.draft.at = request.at;
    if (!diskDevice(state, request) && !nicDevice(state, request)) otherDevice(state, request);
  }
}

function otherDevice(state: QemuState, request: DeviceRequest): void {
  const { draft } = state;
  const { input, driver, options } = request;
  if (/^(isa|pci|usb)-serial$/.test(driver)) return serialDevice(state, request);
  if (virtioRng.test(driver) || virtioSerial.test(driver)) {
    const name = virtioRng.test(driver) ? 'virtio-rng' : 'virtio-serial';
    draft.kept(input, draft.addDevice(name));
    const details = options.takeAll(/^(max-bytes|period|max_ports|ioeventfd|vectors|disable-.*)$/);
    if (details.length > 0)
      draft.leftOut(`-device ${driver} ${details.join(',')}`, "the device is as QEMU's default has it");
    options.takeAll(placement);
    options.take('rng');
    return refuseRest(draft, `-device ${driver}`, options);
  }
  if (pciTopology.test(driver)) draft.leftOut(input, topologyReason);
  else if (/^virt(serialport|console)$/.test(driver)) draft.leftOut(input, portReason);
  else if (outside.test(driver)) draft.refused(input, deviceAdvice(driver));
  else if (diskController.test(driver) || dispensable.test(driver)) draft.leftOut(input, deviceReason(driver));
  else draft.refused(input, deviceAdvice(driver));
}
