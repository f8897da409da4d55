// A replay that is under way, until the log's last instruction or whatever keeps it from coming there. One that has gone astray
// shows it in three ways: its registers differ at a canary; it never comes to what the log has next, and stands still; or QEMU
// ends, because the log has another event than it asks for.
// Invariant: a QEMU that does not answer, is stopped, or waits for its disk has not gone astray.

import { setTimeout as delay } from 'node:timers/promises';
import { TrmigError, asTrmigError } from '../errors.js';
import { replayLookMs, replayLooksMax } from '../limits.js';
import { EventCode } from '../log/index.js';
import {
  qemuLogTail,
  type Machine,
  type TracerEvent,
  type TracerEventData,
  type TracerStatus,
} from '../machine/index.js';
import type { ProgressFrame } from '../wire/frames.js';
import type { LogWindow } from './log-window.js';
import { ReplayProgress } from './replay-progress.js';

export interface ReplayWatchOptions {
  readonly window: LogWindow;
  readonly signal: AbortSignal;
  /** Gets how far it is. */
  readonly tell: (frame: Omit<ProgressFrame, 'restoredBytes'>) => Promise<void>;
}

/**
 * Resolves at the log's last instruction.
 * @throws TrmigError E_DIVERGED, naming the place; E_LOG_LOST, E_MACHINE_GONE, E_ABORTED by the signal
 */
export async function watchReplay(
  machine: Machine,
  { window, signal, tell }: ReplayWatchOptions,
): Promise<TracerEventData<'reached'>> {
  const progress = new ReplayProgress(tell);
  const over = new AbortController();
  const events = machine.tracer.events.stream({ signal });
  standsStill(machine, window, AbortSignal.any([signal, over.signal])).then(
    (error) => events.end(error),
    () => undefined, // It is over, or its QEMU is gone, which `events` tells too.
  );
  try {
    for await (const event of events) {
      if (event.event === 'played') {
        window.played(event.data.seq);
        progress.played(event.data);
      }
      const reached = endOf(event, window);
      if (reached !== null) return reached;
    }
    throw new TrmigError('E_INTERNAL', "the tracer's events ended without a reason");
  } catch (thrown) {
    throw signal.aborted ? thrown : await explained(asTrmigError(thrown), machine, window);
  } finally {
    over.abort();
    progress.end();
  }
}

function endOf(event: TracerEvent, window: LogWindow): TracerEventData<'reached'> | null {
  if (event.event === 'diverged') throw window.differs(event.data);
  if (event.event !== 'reached') return null;
  const { final, icount, why } = event.data;
  if (!final) throw new TrmigError('E_LOG_LOST', `the log ended at instruction ${icount}: ${why}`);
  return event.data;
}

/** A QEMU that is gone may have said why. */
async function explained(error: TrmigError, { paths }: Machine, window: LogWindow): Promise<TrmigError> {
  if (error.code !== 'E_TRACER_CLOSED') return error;
  const gone = new TrmigError('E_MACHINE_GONE', `the destination's QEMU is gone: ${error.message}`, { cause: error });
  return window.complained(await qemuLogTail(paths)) ?? gone;
}

/** Resolves with the error that names the place when the replay has been seen there for too long; rejects by the signal. */
async function standsStill({ tracer }: Machine, window: LogWindow, signal: AbortSignal): Promise<TrmigError> {
  let [place, looks] = ['', 0];
  for (;;) {
    await delay(replayLookMs, undefined, { signal });
    const { running, replay } = await tracer.status({ signal });
    const moves = replay === null || !running || !window.waits || isHisDisks(replay);
    const now = moves ? '' : JSON.stringify(replay);
    looks = now !== '' && now === place ? looks + 1 : 0;
    place = now;
    if (replay !== null && looks >= replayLooksMax) return window.stands(replay);
  }
}

/** The log's next event is a disk's: the host's disk may only be slow. */
function isHisDisks({ left, event }: NonNullable<TracerStatus['replay']>): boolean {
  return left === 0 && event === EventCode.block;
}
