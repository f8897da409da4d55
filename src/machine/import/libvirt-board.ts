// A domain's own elements: memory, CPUs, boot, features, clock.
import { formatBytes } from '../memory.js';
import { importArch, importAccelerator, importBoard, importCpu, importCpus, importHpet } from './board-names.js';
import type { Draft } from './draft.js';
import { deviceReason } from './profile-reason.js';
import { firmwareReason, hostReason } from './qemu-aside.js';
import { importBoot } from './qemu-board.js';
import type { XmlElement } from './xml.js';

const unitBytes: Readonly<Record<string, number>> = {
  ...{ b: 1, bytes: 1 },
  ...{ KB: 1e3, k: 2 ** 10, K: 2 ** 10, KiB: 2 ** 10 },
  ...{ MB: 1e6, M: 2 ** 20, MiB: 2 ** 20 },
  ...{ GB: 1e9, G: 2 ** 30, GiB: 2 ** 30 },
  ...{ TB: 1e12, T: 2 ** 40, TiB: 2 ** 40 },
};

type ElementHandler = (draft: Draft, element: XmlElement) => void;

/** Reads the whole element and leaves it out. */
export const leaveOut =
  (reason: string): ElementHandler =>
  (draft, element) => {
    element.readWhole();
    draft.leftOut(element.summary(), reason);
  };
export const refuse =
  (reason: string): ElementHandler =>
  (draft, element) => {
    element.readWhole();
    draft.refused(element.summary(), reason);
  };

function bytesOf(element: XmlElement): number {
  const factor = unitBytes[element.attribute('unit') ?? 'KiB'] ?? NaN;
  return /^\d{1,15}$/.test(element.text()) ? Number(element.text()) * factor : NaN;
}

const memory: ElementHandler = (draft, element) => {
  const bytes = bytesOf(element);
  element.attribute('dumpCore');
  if (!Number.isSafeInteger(bytes)) return draft.refused(element.summary(), 'this is no size');
  draft.fields.memory = formatBytes(bytes);
  draft.kept(element.summary(), `memory: ${draft.fields.memory}`);
};

const currentMemory: ElementHandler = (draft, element) => {
  if (Number.isSafeInteger(bytesOf(element)) && formatBytes(bytesOf(element)) === draft.fields.memory) {
    draft.kept(element.summary(), `memory: ${draft.fields.memory}`);
  } else draft.leftOut(element.summary(), `the guest has all of its memory: ${deviceReason('virtio-balloon')}`);
};

const vcpu: ElementHandler = (draft, element) => {
  const count = Number(element.text());
  const most = element.attribute('current');
  if (Number.isSafeInteger(count) && count > 0) importCpus(draft, element.summary(), count);
  else draft.refused(element.summary(), 'this is no number of CPUs');
  if (most !== undefined) draft.leftOut(`${element.path}/@current=${most}`, 'no CPU is plugged in later');
  for (const placed of ['placement', 'cpuset']) element.attribute(placed);
};

const os: ElementHandler = (draft, element) => {
  for (const child of element.children()) {
    if (child.name === 'type') osType(draft, child);
    else if (child.name === 'kernel' || child.name === 'initrd')
      importBoot(draft, child.summary(), child.name, child.text());
    else if (child.name === 'cmdline') importBoot(draft, child.summary(), 'append', child.text());
    else if (child.name === 'boot') bootDevice(draft, child);
    else if (/^(loader|nvram|firmware|varstore)$/.test(child.name)) refuse(firmwareReason)(draft, child);
    else if (/^(bootmenu|bios)$/.test(child.name)) leaveOut("the firmware is as QEMU's default has it")(draft, child);
    else refuse('a spec has no field for it')(draft, child);
  }
  const firmware = element.attribute('firmware');
  if (firmware === 'bios') draft.kept('os/@firmware=bios', null);
  else if (firmware !== undefined) draft.refused(`os/@firmware=${firmware}`, firmwareReason);
};

function osType(draft: Draft, element: XmlElement): void {
  const [arch, machine, kind] = [element.attribute('arch'), element.attribute('machine'), element.text()];
  if (kind !== 'hvm') draft.refused(`${element.path} ${kind}`, 'trmig runs whole machines (hvm) only');
  if (arch !== undefined) importArch(draft, `${element.path}/@arch=${arch}`, arch);
  if (machine !== undefined) importBoard(draft, `${element.path}/@machine=${machine}`, machine);
}

function bootDevice(draft: Draft, element: XmlElement): void {
  const device = element.attribute('dev');
  if (device === 'hd') draft.kept(element.summary(), null, 'the firmware boots from the first disk');
  else if (device === 'network') {
    draft.refused(element.summary(), 'a machine does not boot from a network: give it a kernel or a disk');
  } else draft.leftOut(element.summary(), 'the firmware boots from the first disk; put the one to boot from first');
}

const features: ElementHandler = (draft, element) => {
  for (const child of element.children()) {
    child.readWhole();
    if (/^(acpi|apic|pae)$/.test(child.name)) draft.kept(child.summary(), null, "QEMU's default has it");
    else draft.leftOut(child.summary(), 'the board and its CPU are as TCG has them by default');
  }
};

const cpu: ElementHandler = (draft, element) => {
  const mode = element.attribute('mode') ?? 'custom';
  const model = element.child('model');
  const named = model?.text();
  model?.readWhole();
  if (mode === 'host-passthrough' || mode === 'host-model') importCpu(draft, `${element.path}/@mode=${mode}`, 'host');
  else if (mode === 'maximum') importCpu(draft, `${element.path}/@mode=${mode}`, 'max');
  else if (named) importCpu(draft, model!.summary(), named);
  for (const check of ['match', 'check', 'migratable', 'deprecated_features']) element.attribute(check);
  const details = element.children().filter((child) => child.name !== 'model');
  const named2 = details.map((child) => child.attribute('name') ?? child.name);
  for (const child of details) child.readWhole();
  if (details.length > 0) {
    draft.leftOut(`${element.path}: ${named2.join(', ')}`, 'a spec names a CPU model, and its features are it');
  }
};

const clock: ElementHandler = (draft, element) => {
  const offset = element.attribute('offset') ?? 'utc';
  if (offset === 'utc') draft.kept(`${element.path}/@offset=utc`, null, 'trmig always does so');
  else draft.changed(`${element.path}/@offset=${offset}`, null, 'the RTC starts with UTC: set it in the guest');
  for (const name of ['timezone', 'adjustment', 'basis', 'start']) element.attribute(name);
  for (const timer of element.children('timer')) {
    const name = timer.attribute('name');
    const present = timer.attribute('present') !== 'no';
    timer.readWhole();
    if (name === 'hpet') importHpet(draft, timer.summary(), present);
    else draft.leftOut(timer.summary(), "timers are as QEMU's default has them under TCG");
  }
};

const lifecycle: Readonly<Record<string, string>> = { on_poweroff: 'destroy', on_reboot: 'restart' };
const onLifecycle: ElementHandler = (draft, element) => {
  if (element.text() === lifecycle[element.name]) draft.kept(element.summary(), null, 'trmig does so');
  else draft.leftOut(element.summary(), "a guest's reboot resets it, a power-off ends it");
};

/** `type` of the domain, which is the accelerator. */
export function importDomainType(draft: Draft, type: string): void {
  if (type === 'qemu') draft.kept('@type=qemu', 'accel: tcg');
  else if (/^(kvm|hvf|xen)$/.test(type)) importAccelerator(draft, `@type=${type}`, type);
  else draft.refused(`@type=${type}`, 'trmig knows domains of QEMU');
}

const notGuest = leaveOut('it is for people and programs of the host, and not part of the machine');
const byHost = leaveOut(hostReason);
const host = Object.fromEntries(
  ['memoryBacking', 'memtune', 'numatune', 'cputune', 'blkiotune', 'iothreads', 'iothreadids', 'defaultiothread']
    .concat(['resource', 'seclabel', 'perf', 'bootloader', 'throttlegroups'])
    .map((name) => [name, byHost]),
);

/** What becomes of the children of a domain; `memory` comes before `currentMemory`. */
export const domainElements: Readonly<Record<string, ElementHandler>> = {
  name: (draft, element) => draft.name(element.summary(), element.text()),
  memory,
  currentMemory,
  maxMemory: leaveOut('no memory is plugged in later'),
  vcpu,
  vcpus: leaveOut('there is one vCPU'),
  os,
  features,
  cpu,
  clock,
  ...host,
  on_poweroff: onLifecycle,
  on_reboot: onLifecycle,
  on_crash: onLifecycle,
  on_lockfailure: onLifecycle,
  uuid: leaveOut("a machine's UUID is QEMU's default"),
  genid: leaveOut("a machine's UUID is QEMU's default"),
  title: notGuest,
  description: notGuest,
  metadata: notGuest,
  pm: leaveOut("whether a guest may sleep is QEMU's default"),
};
