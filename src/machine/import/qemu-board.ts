// The board's options: machine type, CPU, memory, accelerator, clocks, kernel.
import { formatBytes, parseBytes } from '../memory.js';
import { importAccelerator, importBoard, importCpu, importCpus, importHpet, importRtcClock } from './board-names.js';
import type { Draft } from './draft.js';
import { OptionString, isOn } from './option-string.js';
import { profileReason } from './profile-reason.js';
import { firmwareReason } from './qemu-aside.js';
import { notJson, refuseRest, type OptionHandler, type QemuState } from './qemu-state.js';

/** Options of -machine that say how the host runs it, or that are a spec's default. */
const machineDetail =
  /^(kernel[-_]irqchip|kvm[-_]shadow[-_]mem|dump-guest-core|mem-merge|memory-backend|graphics|smm|vmport|usb|suppress-vmdesc|pit|default-bus-bypass-iommu|hpet)$/;

const machine: OptionHandler = (state, value, input) => {
  const { draft } = state;
  // Both names, -machine and -M, as they were typed.
  const what = input.slice(0, input.length - value.length - 1);
  const options = OptionString.parse(value, 'type');
  if (options === null) return draft.refused(input, notJson);
  const type = options.take('type');
  if (type !== undefined) importBoard(draft, `${what} ${type}`, type);
  const accel = options.take('accel');
  if (accel !== undefined) importAccelerator(draft, `${what} accel=${accel}`, accel);
  const hpet = options.take('hpet');
  if (hpet !== undefined) importHpet(draft, `${what} hpet=${hpet}`, isOn(hpet));
  for (const key of ['kernel', 'initrd', 'append'] as const) {
    const text = options.take(key);
    if (text !== undefined) importBoot(draft, `${what} ${key}=${text}`, key, text);
  }
  const cpus = OptionString.parse(
    options
      .takeAll(/^smp\./)
      .join(',')
      .replaceAll('smp.', ''),
  );
  if (cpus !== null && cpus.rest().length > 0) smpOptions(draft, `${what} smp`, cpus);
  for (const firmware of options.takeAll(/^(pflash\d|firmware)$/)) draft.refused(`${what} ${firmware}`, firmwareReason);
  for (const detail of options.takeAll(machineDetail)) {
    draft.leftOut(`${what} ${detail}`, "the board is as QEMU's default has it");
  }
  refuseRest(draft, what, options);
};

const cpu: OptionHandler = ({ draft }, value) => {
  const [model = '', ...features] = value.split(',');
  if (model !== '') importCpu(draft, `-cpu ${model}`, model);
  if (features.length > 0)
    draft.leftOut(`-cpu ${features.join(',')}`, 'a spec names a CPU model, and its features are it');
};

const memory: OptionHandler = (state, value) => {
  const { draft } = state;
  const options = OptionString.parse(value, 'size');
  if (options === null) return draft.refused(`-m ${value}`, notJson);
  const size = options.take('size');
  if (size !== undefined) {
    state.memorySaid = true;
    // A number alone is MiB here, and bytes in a spec.
    const bytes = parseBytes(/^\d+$/.test(size) ? `${size}M` : size.replace(/B$/i, ''));
    draft.fields.memory = bytes === null ? size.slice(0, 60) : formatBytes(bytes);
    if (bytes === null) draft.refused(`-m ${size}`, 'this is no size; say how much memory the guest has');
    else draft.kept(`-m ${size}`, `memory: ${draft.fields.memory}`);
  }
  for (const hotplug of options.takeAll(/^(slots|maxmem)$/))
    draft.leftOut(`-m ${hotplug}`, 'no memory is plugged in later');
  refuseRest(draft, '-m', options);
};

const smp: OptionHandler = ({ draft }, value, input) => {
  const options = OptionString.parse(value, 'cpus');
  if (options === null) return draft.refused(input, notJson);
  smpOptions(draft, input, options);
};

/** -smp counts CPUs, or says how many of what there are. */
function smpOptions(draft: Draft, input: string, options: OptionString): void {
  const number = (key: string): number | undefined => {
    const text = options.take(key);
    return text === undefined ? undefined : Number(text);
  };
  const [cpus, most] = [number('cpus'), number('maxcpus')];
  const levels = ['drawers', 'books', 'sockets', 'dies', 'clusters', 'modules', 'cores', 'threads'].map(number);
  const product = levels.reduce<number>((all, one) => all * (one ?? 1), 1);
  const count = cpus ?? (levels.some((level) => level !== undefined) ? product : (most ?? 1));
  if (Number.isSafeInteger(count) && count > 0) importCpus(draft, input, count);
  else draft.refused(input, 'this is no number of CPUs');
  refuseRest(draft, '-smp', options);
}

const accel: OptionHandler = ({ draft }, value, input) => {
  const options = OptionString.parse(value, 'accel');
  if (options === null) return draft.refused(input, notJson);
  const name = options.take('accel') ?? '';
  importAccelerator(draft, `-accel ${name}`, name);
  const thread = options.take('thread');
  if (thread === 'single') draft.kept('-accel thread=single', null, 'trmig always does so');
  else if (thread !== undefined) {
    draft.changed(
      `-accel thread=${thread}`,
      null,
      'one thread for all vCPUs: another TCG cannot be flipped into icount',
    );
  }
  for (const detail of options.takeAll(/./)) draft.leftOut(`-accel ${detail}`, "TCG is as QEMU's default has it");
};

const rtc: OptionHandler = ({ draft }, value, input) => {
  const options = OptionString.parse(value);
  if (options === null) return draft.refused(input, notJson);
  const base = options.take('base');
  if (base === 'utc') draft.kept('-rtc base=utc', null, 'trmig always does so');
  else if (base !== undefined) draft.changed(`-rtc base=${base}`, null, 'the RTC starts with UTC: set it in the guest');
  const clock = options.take('clock');
  if (clock !== undefined) importRtcClock(draft, `-rtc clock=${clock}`, clock);
  for (const drift of options.takeAll(/^driftfix$/)) draft.leftOut(`-rtc ${drift}`, 'lost ticks are not made up for');
  refuseRest(draft, '-rtc', options);
};

const icount: OptionHandler = ({ draft }, value, input) => {
  const options = OptionString.parse(value, 'shift');
  if (options === null) return draft.refused(input, notJson);
  const shift = options.take('shift');
  if (shift === 'auto') draft.changed('-icount shift=auto', null, profileReason({ shift: 'auto' }));
  else if (shift !== undefined) {
    draft.fields.shift = Number(shift);
    draft.kept(`-icount shift=${shift}`, `shift: ${shift}`, 'used while armed; a dormant machine runs without icount');
  }
  for (const detail of options.takeAll(/^(align|sleep|q)$/)) draft.leftOut(`-icount ${detail}`, 'arming sets it');
  for (const rr of options.takeAll(/^rr/)) draft.refused(`-icount ${rr}`, 'use trmig checkpoint and trmig replay');
  refuseRest(draft, '-icount', options);
};

/** Kernel, initrd and kernel command line. */
export function importBoot(draft: Draft, input: string, field: 'kernel' | 'initrd' | 'append', text: string): void {
  const value = field === 'append' ? text : draft.path(text);
  draft.fields[field] = value;
  draft.kept(input, `${field}: ${value}`);
}

const boot =
  (field: 'kernel' | 'initrd' | 'append'): OptionHandler =>
  ({ draft }, value, input) =>
    importBoot(draft, input, field, value);

const accelerator =
  (name: string): OptionHandler =>
  ({ draft }, _, input) =>
    importAccelerator(draft, input, name);

export const boardOptions: Readonly<Record<string, OptionHandler>> = {
  machine,
  M: machine,
  cpu,
  m: memory,
  smp,
  accel,
  rtc,
  icount,
  kernel: boot('kernel'),
  initrd: boot('initrd'),
  append: boot('append'),
  'enable-kvm': accelerator('kvm'),
  'no-kvm': accelerator('tcg'),
  'no-hpet': ({ draft }, _, input) => importHpet(draft, input, false),
  localtime: (state, _, input) => rtc(state, 'base=localtime', input),
  name: ({ draft }, value, input) => {
    const options = OptionString.parse(value, 'guest');
    if (options === null) return draft.refused(input, notJson);
    const guest = options.take('guest');
    if (guest !== undefined) draft.name(`-name ${guest}`, guest);
    for (const detail of options.takeAll(/^(process|debug-threads)$/)) {
      draft.leftOut(`-name ${detail}`, 'trmig names the process and its threads');
    }
    refuseRest(draft, '-name', options);
  },
};

/** What QEMU does when nothing was said. */
export function defaultBoard(state: QemuState): void {
  if (state.memorySaid) return;
  state.draft.fields.memory = '128M';
  state.draft.kept('(no -m)', 'memory: 128M', "QEMU's default");
}
