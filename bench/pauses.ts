// How long a machine stands still when it is armed, armed with a checkpoint, and disarmed: the tracer's own figures.
import { setTimeout as sleep } from 'node:timers/promises';
import type { TracerClient } from '../src/machine/index.js';
import { figure, type Figure } from './figure.js';
import { segmentCut } from './log-meter.js';

export interface PauseFigures {
  readonly flips: number;
  readonly armMs: Figure | null;
  readonly disarmMs: Figure | null;
  readonly checkpoints: number;
  /** Arming with device state and frozen image: the one pause of a migration before its handover. */
  readonly checkpointMs: Figure | null;
}

/** How long it runs between two flips: long enough that each one meets the guest somewhere else. */
const betweenMs = 7;
const checkpointShare = 10;
/** After a checkpoint every page's first write is a fault: the next one waits until that is over. */
const afterCheckpointMs = 250;

/** Arms and disarms a running, dormant machine `flips` times, and a tenth as often with a checkpoint. */
export async function measurePauses(tracer: TracerClient, shift: number, flips: number): Promise<PauseFigures> {
  const [arm, disarm, checkpoint]: number[][] = [[], [], []];
  const name = (index: number): string => `flip-${index}`;
  for (let index = 0; index < flips; index++) {
    const socket = (await tracer.openStream(name(index))).resume();
    const armed = await tracer.arm({ shift, stream: name(index), ...segmentCut, checkpoint: false });
    await sleep(betweenMs);
    const disarmed = await tracer.disarm();
    socket.destroy();
    arm!.push(armed.pauses.totalNs / 1e6);
    disarm!.push(disarmed.pauses.totalNs / 1e6);
    await sleep(betweenMs);
  }
  const checkpoints = Math.ceil(flips / checkpointShare);
  for (let index = flips; index < flips + checkpoints; index++) {
    const socket = (await tracer.openStream(name(index))).resume();
    const armed = await tracer.arm({ shift, stream: name(index), ...segmentCut, checkpoint: true });
    await tracer.thaw(armed.frozen.pid);
    await tracer.disarm();
    socket.destroy();
    checkpoint!.push(armed.pauses.totalNs / 1e6);
    await sleep(afterCheckpointMs);
  }
  return {
    flips,
    armMs: figure(arm!),
    disarmMs: figure(disarm!),
    checkpoints,
    checkpointMs: figure(checkpoint!),
  };
}
