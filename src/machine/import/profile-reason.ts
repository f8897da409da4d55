// Why the determinism profile does not want something, in the profile's own words: asked by showing it a spec that has it.
import { profileFindings, type ProfileFinding } from '../profile.js';
import type { MachineSpec } from '../spec-schema.js';

const plain: MachineSpec = {
  format: 1,
  name: 'plain',
  strategy: 'trace',
  qemu: { version: '10.0' },
  arch: 'x86_64',
  board: 'pc',
  hpet: false,
  cpu: 'qemu64',
  memoryBytes: 2 ** 28,
  smp: 1,
  accel: 'tcg',
  rtc: 'host',
  disks: [],
  nics: [],
  devices: [],
  console: 'serial',
};

/** What the profile says about a plain machine with these fields; null when it has nothing against them. */
export function profileFinding(asked: Partial<MachineSpec>): ProfileFinding | null {
  return profileFindings({ ...plain, ...asked })[0] ?? null;
}

/** Its reason, with the strategies that would move the machine as it is. */
export function profileReason(asked: Partial<MachineSpec>): string {
  const finding = profileFinding(asked);
  if (finding === null) return 'a spec has no field for it';
  const { reason, strategies } = finding;
  return strategies.length === 0 ? reason : `${reason} (strategy ${strategies.join(', ')} would take it)`;
}

/** Its reason against a device of QEMU's of this name. */
export function deviceReason(device: string): string {
  return profileFinding({ devices: [device] })?.reason ?? 'a spec has no field for it';
}

/** Its reason against a device, and the nearest thing that works. */
export function deviceAdvice(device: string): string {
  const finding = profileFinding({ devices: [device] });
  return finding === null ? 'a spec has no field for it' : `${finding.reason}; use ${finding.nearest}`;
}
