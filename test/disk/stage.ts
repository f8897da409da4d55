// Disks with layers for the tests: real files made by qemu-img, and machines with a real QEMU on them.
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { Test } from 'tap';
import { findQemuImg } from '../../src/disk/qemu-img.js';
import type { MachineDisk } from '../../src/machine/disks-file.js';
import { Home, type MachinePaths } from '../../src/machine/home.js';
import { Machine } from '../../src/machine/machine.js';
import { findQemu } from '../../src/machine/qemu.js';
import { parseSpec, type MachineSpec } from '../../src/machine/spec.js';
import { temporaryFolder } from '../machine/fake-peer.js';

export const mib = 1024 * 1024;

export const qemuImg = await findQemuImg(await findQemu({ arch: 'x86_64', qemu: { version: '10.0' } }));

export interface DiskStage {
  readonly folder: string;
  readonly home: Home;
  readonly paths: MachinePaths;
}

/** A folder with a home; what runs in it is killed at the test's end. */
export function diskStage(t: Test, name = 'web'): DiskStage {
  const folder = temporaryFolder(t);
  const home = new Home(path.join(folder, 'h'));
  t.teardown(async () => {
    for (const machine of await Machine.list({ home })) {
      if (machine.state === 'running') await (await Machine.open(machine.name, { home })).stop({ graceful: false });
    }
  });
  const paths = home.machine(name);
  mkdirSync(paths.layers, { recursive: true });
  return { folder, home, paths };
}

/** A machine with these disks and, without a kernel, firmware that finds nothing to boot. */
export function diskSpec(disks: readonly object[], more: object = {}): MachineSpec {
  const spec = { name: 'web', memory: '64M', disks, ...more };
  return parseSpec(JSON.stringify(spec), { base: '/', source: 'test' });
}

export const idOf = (n: number): string => `${String(n).padStart(8, '0')}-0000-4000-8000-000000000000`;

/** A disk of layers that exist on paper only: `1` is a raw file of the spec's, each further one an overlay. */
export function paperDisk(ids: readonly (readonly number[])[], more: Partial<MachineDisk> = {}): MachineDisk {
  return {
    spec: { file: '/s/root.raw', format: 'raw', readonly: false, shared: false },
    readonly: false,
    layers: ids.map(([id, ...includes], i) => ({
      id: idOf(id!),
      file: `/h/${id}`,
      format: i === 0 ? 'raw' : 'qcow2',
      includes: includes.map(idOf),
      origin: i === 0 ? 'spec' : 'made',
      shared: false,
    })),
    ...more,
  };
}
