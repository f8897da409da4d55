// QEMU's names for boards and CPUs as a spec's. A versioned board (pc-q35-8.2) is the board as another QEMU had it; a spec's is
// the one of its QEMU.
import type { Draft } from './draft.js';
import { ARCHITECTURES } from '../spec-schema.js';
import { profileReason } from './profile-reason.js';

/** The board of a machine type; one that a spec does not know stays as it is, for checkSpec to refuse. */
export function importBoard(draft: Draft, input: string, type: string): void {
  if (type === 'pc' || type === 'q35' || type === 'virt') {
    draft.fields.board = type;
    draft.kept(input, `board: ${type}`);
    return;
  }
  const [, plain] = /^(?:(pc|q35|virt)-.*|.*-?(i440fx)-.*)$/.exec(type.replace(/^pc-q35/, 'q35')) ?? [];
  const board = plain ?? (type.includes('i440fx') ? 'pc' : undefined);
  if (board !== undefined) {
    draft.fields.board = board;
    draft.changed(input, `board: ${board}`, "the board's version is that of the spec's QEMU");
    return;
  }
  draft.fields.board = type.slice(0, 60);
  draft.refused(input, 'trmig knows the boards pc, q35 and virt; choose one that the guest can run on');
}

/** The architecture by the name of a binary or of libvirt's `arch`. */
export function importArch(draft: Draft, input: string, arch: string): void {
  if (arch === 'i386' || arch === 'i686') {
    draft.changed(input, 'arch: x86_64', 'the x86_64 board runs 32-bit guests too');
    return;
  }
  // The spec's own default need not be said.
  if (arch !== 'x86_64') draft.fields.arch = arch.slice(0, 60);
  if (ARCHITECTURES.some((known) => known === arch)) draft.kept(input, `arch: ${arch}`);
  else draft.refused(input, `trmig runs ${ARCHITECTURES.join(' and ')} machines only`);
}

/** An accelerator; `names` may be a list (`kvm:tcg`). */
export function importAccelerator(draft: Draft, input: string, names: string): void {
  const [first = ''] = names.split(':');
  if (first === 'tcg') draft.kept(input, 'accel: tcg');
  else draft.changed(input, 'accel: tcg', profileReason({ accel: first }));
}

/** A CPU model. `host` and `max` under KVM are the host's; `max` under TCG is the same everywhere. */
export function importCpu(draft: Draft, input: string, model: string): void {
  if (model === 'host' || model === 'kvm64' || model === 'kvm32') {
    const cpu = model === 'host' ? 'max' : model.replace('kvm', 'qemu');
    draft.fields.cpu = cpu;
    draft.changed(input, `cpu: ${cpu}`, 'that model is made for KVM; this is the nearest that TCG has on every host');
    return;
  }
  draft.fields.cpu = model;
  const named = !/^(max|base|qemu(32|64))$/.test(model);
  draft.kept(input, `cpu: ${model}`, named ? 'TCG leaves out the features of it that it cannot do' : null);
}

/** The number of virtual CPUs. */
export function importCpus(draft: Draft, input: string, count: number): void {
  if (count === 1) draft.kept(input, 'smp: 1');
  else draft.changed(input, 'smp: 1', profileReason({ smp: count }));
}

export function importHpet(draft: Draft, input: string, on: boolean): void {
  if (on) draft.changed(input, 'hpet: off', profileReason({ hpet: true }));
  else draft.kept(input, 'hpet: off');
}

/** The clock behind the RTC: host, vm or rt. */
export function importRtcClock(draft: Draft, input: string, clock: string): void {
  if (clock === 'host') draft.kept(input, 'rtc: host');
  else draft.changed(input, 'rtc: host', profileReason({ rtc: clock === 'vm' ? 'vm' : 'rt' }));
}
