// The determinism profile: what a machine may be made of so that its log replays to the same machine. Each rule here has a
// reason found the hard way; a spec outside is refused by name, with the nearest that works. Some refusals concern replay
// only: they name the strategies that still work.
//
// Invariant: the device list is an allow list. What nobody has replayed is refused, not tried.
import { TrmigError } from '../errors.js';
import type { MachineSpec, Strategy } from './spec-schema.js';

export interface ProfileFinding {
  /** The spec's field. */
  readonly path: string;
  readonly found: string;
  readonly reason: string;
  /** The nearest thing that works. */
  readonly nearest: string;
  /** The strategies that work in spite of this. */
  readonly strategies: readonly Strategy[];
}

const copying: readonly Strategy[] = ['precopy', 'postcopy', 'hybrid'];
const none: readonly Strategy[] = [];

/** Devices that replay, by the name used in `devices`, and QEMU's name for them. */
export const replayableDevices: Readonly<Record<string, string>> = {
  'virtio-rng': 'virtio-rng-pci',
  'virtio-serial': 'virtio-serial-pci',
};

const withoutDevice = 'leave it out';
const serialConsole = 'the serial console (console: serial)';

// Most specific first. The allow list decides; this only says why and what instead.
const refusals: readonly { match: RegExp; reason: string; nearest: string; strategies?: readonly Strategy[] }[] = [
  {
    match: /^vfio|^vhost|^ivshmem/,
    reason: 'a device outside QEMU writes guest memory unseen',
    nearest: 'the virtio device of that kind',
    strategies: none,
  },
  {
    match: /^(e1000e?|rtl8139|ne2k_pci|i8255\d|vmxnet3|pcnet|tulip|igb)$/,
    reason: 'its packets are not in the log in a form that replays',
    nearest: 'virtio-net, as an entry of nics',
  },
  {
    match: /^virtio-net/,
    reason: 'a nic needs a backend and the replay filter',
    nearest: 'an entry of nics',
    strategies: none,
  },
  {
    match: /^virtio-blk/,
    reason: 'a disk needs a file and the replay layer',
    nearest: 'an entry of disks',
    strategies: none,
  },
  {
    match: /^(ide|ahci|ich9-ahci|scsi|nvme|virtio-scsi|lsi|megasas|mptsas|sd)/,
    reason: 'its completions do not replay at the same instruction',
    nearest: 'virtio-blk, as an entry of disks',
  },
  {
    match: /^(usb|qemu-xhci|nec-usb|.hci|piix.-usb)/,
    reason: 'USB frames are timed by the host',
    nearest: withoutDevice,
  },
  {
    match: /^(virtio-gpu|virtio-vga|VGA|qxl|cirrus|bochs|vmware-svga|ramfb)/,
    reason: 'displays are refreshed by the host',
    nearest: serialConsole,
  },
  {
    match: /^(intel-hda|hda|AC97|ac97|es1370|sb16|adlib|gus|cs4231a|virtio-sound)/,
    reason: 'sound is paced by the host',
    nearest: withoutDevice,
  },
  { match: /^virtio-balloon/, reason: 'it gives guest memory back to the host behind the log', nearest: withoutDevice },
  {
    match: /^hpet/,
    reason: 'the HPET has state that QEMU 10.0 does not migrate',
    nearest: 'hpet: off',
    strategies: none,
  },
];

/** Everything in the spec that stands in the way of some strategy. */
export function profileFindings(spec: MachineSpec): ProfileFinding[] {
  const findings: ProfileFinding[] = [];
  const add = (path: string, found: string, reason: string, nearest: string, strategies: readonly Strategy[]): void => {
    findings.push({ path, found, reason, nearest, strategies });
  };
  if (spec.smp !== 1) {
    add('smp', String(spec.smp), 'a log replays on one vCPU only', 'smp: 1', copying);
  }
  if (spec.accel !== 'tcg') {
    const reason =
      spec.accel === 'kvm'
        ? 'KVM does not say at which instruction an interrupt came, and the tracer cannot watch it'
        : 'the tracer works in TCG only';
    add('accel', spec.accel, reason, 'accel: tcg', none);
  }
  if (!spec.qemu.version.startsWith('10.0.') && spec.qemu.version !== '10.0') {
    add('qemu.version', spec.qemu.version, 'the tracer knows the 10.0 line only', "qemu.version: '10.0'", none);
  }
  if (spec.hpet) {
    add('hpet', 'on', 'the HPET has state that QEMU 10.0 does not migrate', 'hpet: off', none);
  }
  if (spec.shift === 'auto') {
    const reason = 'an adaptive shift reads the host clock: it cannot be the same on replay';
    add('shift', 'auto', reason, 'leave shift out: it is measured at arming', copying);
  }
  if (spec.rtc !== 'host') {
    add('rtc', spec.rtc, 'an RTC on that clock hangs the replay of QEMU 10.0', 'rtc: host', copying);
  }
  for (const [i, device] of spec.devices.entries()) findings.push(...deviceFindings(device, `devices[${i}]`));
  return findings;
}

function deviceFindings(device: string, path: string): ProfileFinding[] {
  if (Object.hasOwn(replayableDevices, device)) return [];
  const rule = refusals.find(({ match }) => match.test(device));
  const allowed = Object.keys(replayableDevices).join(', ');
  return [
    {
      path,
      found: device,
      reason: rule?.reason ?? 'it has not been shown to replay',
      nearest: rule?.nearest ?? `one of ${allowed}, or leave it out`,
      strategies: rule?.strategies ?? copying,
    },
  ];
}

/**
 * Refuses a spec that `strategy` cannot move.
 * @throws E_PROFILE with every finding: field, reason, the nearest that works, and the strategies that work as it is
 */
export function assertProfile(spec: MachineSpec, strategy: Strategy): void {
  const against = profileFindings(spec).filter((finding) => !finding.strategies.includes(strategy));
  if (against.length === 0) return;
  const lines = against.map(
    ({ path, found, reason, nearest }) => `${path}: ${found} does not work: ${reason}. Use ${nearest}`,
  );
  const what = lines.length === 1 ? ` ${lines[0]}` : `\n${lines.map((line) => `  - ${line}`).join('\n')}`;
  const others = workingStrategies(against);
  const also = others.length === 0 ? '' : `, or set strategy to ${orList(others)}, which move it as it is`;
  const message = `'${spec.name}' cannot be moved by strategy ${strategy}:${what}`;
  throw new TrmigError('E_PROFILE', message, {
    hint: `Change ${against.map((finding) => finding.path).join(', ')}${also}.`,
    facts: {
      name: spec.name,
      strategy,
      fields: against.map((finding) => finding.path).join(' '),
      strategies: others.join(' '),
    },
  });
}

/**
 * Refuses to move a machine that is tied to its host, though it runs and is recorded there.
 * @throws E_PROFILE naming every nic of backend `user`
 */
export function assertMovable(spec: MachineSpec): void {
  const tied = spec.nics.flatMap(({ backend }, i) => (backend === 'user' ? [`nics[${i}]`] : []));
  if (tied.length === 0) return;
  const reason = "the guest's connections end in sockets of this host's QEMU, which cannot move";
  throw new TrmigError(
    'E_PROFILE',
    `'${spec.name}' cannot be moved: ${tied.join(', ')}: backend user does not work: ${reason}. Use backend: tap`,
    {
      hint: `Stop it, change ${tied.join(', ')}, and start it again; it can be recorded as it is.`,
      facts: { name: spec.name, fields: tied.join(' ') },
    },
  );
}

/** The strategies that work in spite of all of these findings. */
export function workingStrategies(findings: readonly ProfileFinding[]): Strategy[] {
  const all: readonly Strategy[] = ['trace', ...copying];
  return all.filter((strategy) => findings.every((finding) => finding.strategies.includes(strategy)));
}

function orList(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}
