// What others than trmig do to a machine that is being moved, as errors: its guest powers itself off, somebody stops it or ends
// its QEMU.

import { TrmigError } from '../errors.js';

/**
 * Its QEMU has ended.
 * @param cause what QEMU said of it when it ended in order (its ShutdownCause); null when it said nothing
 */
export function endedError(machine: string, cause: string | null, reason: TrmigError): TrmigError {
  const facts = { machine, cause };
  if (cause?.startsWith('guest-') === true) {
    return new TrmigError('E_GUEST_OFF', `'${machine}' has powered itself off during the migration (${cause})`, {
      facts,
    });
  }
  const why = cause === null ? reason.message : `it was told to end (${cause})`;
  return new TrmigError('E_MACHINE_GONE', `the source's QEMU is gone: ${why}`, { facts });
}

/** @param state QEMU's run state */
export function stoppedError(machine: string, state: string): TrmigError {
  return new TrmigError('E_GUEST_STOPPED', `'${machine}' was stopped during the migration, not by trmig (${state})`, {
    facts: { machine, state },
  });
}
