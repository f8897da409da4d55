// A nic of any model and backend as a spec's: virtio-net on a tap device or on QEMU's user network.
import { virtioNet } from './device-kinds.js';
import { driverReason } from './disk-source.js';
import type { Draft, NicRequest } from './draft.js';
import { deviceReason } from './profile-reason.js';

export const bridgeReason = 'a spec names a tap device, which is in the bridge beforehand';
export const backendReason = 'a nic of a spec is on a tap device or on the user network';

/** What a spec has for a backend, and why it is not the one that was asked for; null when it is. */
export type NicBackend = Pick<NicRequest, 'backend' | 'interface' | 'bridge'> & { readonly change: string | null };

/** Adds a nic, and says so. */
export function importNic(
  draft: Draft,
  input: string,
  model: string,
  mac: string | undefined,
  { change, ...backend }: NicBackend,
): void {
  const field = draft.addNic({ input, mac: mac?.toLowerCase(), ...backend });
  const entry = `${field}: ${backend.backend}${backend.interface === undefined ? '' : ` ${backend.interface}`}`;
  const reasons = [
    ...(virtioNet.test(model) ? [] : [`${deviceReason(model)}, hence virtio-net: ${driverReason}`]),
    ...(change === null ? [] : [change]),
  ];
  if (reasons.length === 0) draft.kept(input, entry);
  else draft.changed(input, entry, reasons.join('; '));
}
