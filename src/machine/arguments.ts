// A spec as QEMU's command line. A machine is born able to be armed: everything that record/replay needs from the start
// (the replay layers under disks and nics, no ioeventfd, no HPET) is there while it is dormant, and costs nothing then.
//
// Invariant: the guest-visible part depends on the spec alone, so that two hosts start the same machine; only sockets, logs
// and the pid file differ by `paths`, and the files and layers behind its disks.
import { diskArguments, type DiskChain } from './disk-chain.js';
import type { MachinePaths } from './home.js';
import { replayableDevices } from './profile.js';
import type { MachineSpec, NicSpec } from './spec-schema.js';

export interface ArgumentOptions {
  readonly paths: MachinePaths;
  /** The tracer's shared object; null starts plain QEMU (tests, comparisons). */
  readonly tracer: string | null;
  /** Start with the guest stopped (-S): a destination, whose memory is written from outside. */
  readonly paused: boolean;
  /** The nics lead nowhere: a replay that will not be live needs no network, nor the right to it. */
  readonly offline?: boolean;
  /** The layers of each of the spec's disks, in its order. */
  readonly disks: readonly DiskChain[];
  /** Open the top layers alone, with nothing beneath them yet: a destination whose frozen layers are still on their way. */
  readonly topsOnly?: boolean;
}

/** QEMU's arguments, without the binary. */
export function qemuArguments(spec: MachineSpec, options: ArgumentOptions): string[] {
  const { paths, tracer, paused, disks, topsOnly = false, offline = false } = options;
  return [
    ...['-name', `guest=${spec.name},debug-threads=on`],
    // No guest device that the spec does not name, no configuration that differs from host to host.
    ...['-nodefaults', '-no-user-config', '-display', 'none'],
    ...board(spec),
    // One thread for all vCPUs: a multi-threaded TCG cannot be flipped into icount.
    ...['-accel', 'tcg,thread=single'],
    ...['-cpu', spec.cpu, '-smp', String(spec.smp), '-m', `${spec.memoryBytes}B`],
    ...['-rtc', `base=utc,clock=${spec.rtc}`],
    // The stream that the tracer saves has no configuration section, so the stock one must not expect it either.
    ...['-global', 'migration.send-configuration=off', '-global', 'migration.store-global-state=off'],
    ...kernel(spec),
    ...consoleArguments(spec, paths),
    ...disks.flatMap((disk, i) => diskArguments(disk, i, { topOnly: topsOnly })),
    ...spec.nics.flatMap((entry, index) => nic(entry, index, offline)),
    ...spec.devices.flatMap(device),
    ...['-qmp', `unix:${escape(paths.qmpSocket)},server=on,wait=off`],
    ...(tracer === null
      ? []
      : [
          '-plugin',
          `${escape(tracer)},socket=${escape(paths.tracerSocket)}${spec.console === 'none' ? '' : ',chardev=console'}`,
        ]),
    ...['-pidfile', paths.pid],
    ...(paused ? ['-S'] : []),
  ];
}

/** In QEMU's option strings a comma is written twice. */
function escape(value: string): string {
  return value.replaceAll(',', ',,');
}

function board(spec: MachineSpec): string[] {
  // Named, since QEMU chooses it by the accelerator and the vCPUs: version 2 serves eight of them.
  const gic = spec.smp > 8 ? 3 : 2;
  // Each QEMU would draw its own seeds into the device tree, and a reset, wherever it is replayed, hands them to the guest.
  const virt = `gic-version=${gic},dtb-randomness=off`;
  const own = spec.board === 'virt' ? virt : `hpet=${spec.hpet ? 'on' : 'off'}`;
  // QEMU 10.0.2 crashes while it describes virtio-blk's state; nobody reads that description.
  return ['-machine', `${spec.board},${own},suppress-vmdesc=on`];
}

function kernel(spec: MachineSpec): string[] {
  if (spec.kernel === undefined) return [];
  return [
    ...['-kernel', spec.kernel],
    ...(spec.initrd === undefined ? [] : ['-initrd', spec.initrd]),
    ...(spec.append === undefined ? [] : ['-append', spec.append]),
  ];
}

function consoleArguments(spec: MachineSpec, paths: MachinePaths): string[] {
  if (spec.console === 'none') return [];
  const [socket, log] = [escape(paths.consoleSocket), escape(paths.consoleLog)];
  return [
    ...['-chardev', `socket,id=console,path=${socket},server=on,wait=off,logfile=${log},logappend=on`],
    ...['-serial', 'chardev:console'],
  ];
}

function nic(spec: NicSpec, index: number, offline: boolean): string[] {
  const id = `nic${index}`;
  return [
    ...['-netdev', JSON.stringify({ id, ...(offline ? { type: 'hubport', hubid: index } : backend(spec)) })],
    ...['-object', `filter-replay,id=${id}-replay,netdev=${id}`],
    // Its own announce timer is not replayed; after a handover trmig announces from outside.
    ...[
      '-device',
      `virtio-net-pci,id=${id}-device,netdev=${id},mac=${spec.mac},guest_announce=off,ioeventfd=off,romfile=`,
    ],
  ];
}

function backend(spec: NicSpec): Record<string, unknown> {
  if (spec.backend === 'user') return { type: 'user' };
  // Without vnet_hdr: the guest's driver would agree to offloads that only a tap has, and its recording could be replayed
  // nowhere else.
  return { type: 'tap', ifname: spec.interface, script: 'no', downscript: 'no', vhost: false, vnet_hdr: false };
}

function device(name: string, index: number): string[] {
  const id = `device${index}`;
  if (!Object.hasOwn(replayableDevices, name)) return ['-device', `${name},id=${id}`];
  return ['-device', `${replayableDevices[name]!},id=${id},ioeventfd=off`];
}
