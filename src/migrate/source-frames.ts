// What the destination's frames mean to the source's table.

import { TrmigError } from '../errors.js';
import type { AbortFrame, ReadyFrame, RefuseFrame, SessionFrame } from '../wire/frames.js';
import { errorOf } from './session.js';
import type { FinalState, SourceEvent } from './source-states.js';

/** What the guest's state is at the end of a log. */
export function finalOf({ icount, registers, devices }: FinalState | ReadyFrame): FinalState {
  return { icount, registers, devices };
}

/** The event of a frame; null for one that tells something and changes nothing. @throws TrmigError E_WIRE_GARBAGE */
export function sourceEventOf(frame: SessionFrame): SourceEvent | null {
  switch (frame.kind) {
    case 'accept':
      return { type: 'accepted' };
    case 'refuse':
      return { type: 'refused', error: { code: frame.code, message: frame.message } };
    case 'ready':
      return { type: 'ready', final: finalOf(frame) };
    case 'live':
      return { type: 'live' };
    case 'query':
      return { type: 'asked' };
    case 'declined':
      return { type: 'declined', error: { code: 'E_PEER_REFUSED', message: frame.reason } };
    case 'abort':
      return { type: 'peerAborted', error: { code: frame.code, message: frame.message } };
    case 'progress':
    case 'verify':
      return null;
    default:
      throw new TrmigError('E_WIRE_GARBAGE', `a source has no use for a frame '${frame.kind}'`);
  }
}

/** A destination's no, whole; null for one that its event says everything about. */
export function peerError(frame: RefuseFrame | AbortFrame, host: string, machine: string): TrmigError | null {
  if (frame.kind === 'refuse') {
    const { code, hint } = frame;
    return errorOf({ code, message: `${host} refused: ${frame.message}` }, hint);
  }
  if (frame.divergence === undefined) return null;
  const { icount, event } = frame.divergence;
  return new TrmigError('E_DIVERGED', frame.message, { hint: lookCloser(machine), facts: { icount, event } });
}

/** There is one log only, the source's: what differs shows when the same log is replayed again, on either host. */
const lookCloser = (machine: string): string =>
  `Record it where it runs, and replay that on both hosts: trmig checkpoint ${machine} --to DIR --for 10s, then ` +
  'trmig replay DIR --verify. `trmig log dump DIR --from N` shows what happened around instruction N.';

/** Whether a frame is what an earlier migration on the same connection had under way; this one is `offering` or further. */
export function isOfEarlier(frame: SessionFrame, migrationId: string, offering: boolean): boolean {
  if (frame.kind === 'abort') return frame.migrationId !== undefined && frame.migrationId !== migrationId;
  return offering && frame.kind !== 'accept' && frame.kind !== 'refuse';
}
