// The spec of a machine that another host offers or a recording holds: hostile until it fits, and even then it must not make
// this host run a program of its choice. So the QEMU is always this host's own; whether it is the right one is compared by
// its version. Files that a spec names (kernel, initrd, disks) are another matter: src/migrate/named-files.ts.
import { TrmigError } from '../errors.js';
import { specBytesMax } from '../limits.js';
import { checkSpec, type MachineSpec } from './spec.js';

/**
 * Reads a spec in the JSON that `formatSpec` makes; without its `qemu.binary`.
 * @param source what it is called in messages
 * @throws TrmigError E_SPEC
 */
export function parseForeignSpec(json: string, source: string): MachineSpec {
  if (Buffer.byteLength(json) > specBytesMax) {
    throw new TrmigError('E_SPEC', `${source}: longer than ${specBytesMax} bytes`, { facts: { source } });
  }
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new TrmigError('E_SPEC', `${source}: it is not JSON`, { cause, facts: { source } });
  }
  const spec = checkSpec(value, { base: '/', source });
  const { binary: _, ...qemu } = spec.qemu;
  return { ...spec, qemu };
}
