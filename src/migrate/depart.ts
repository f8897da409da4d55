// What a machine needs done before it leaves: an offer, an arming, its base image on the link.

import { hostname } from 'node:os';
import { TrmigError } from '../errors.js';
import { captureImage, type CaptureProgress } from '../checkpoint/index.js';
import { probeMs, segmentBytesShipping, segmentMsShipping } from '../limits.js';
import {
  chooseShift,
  formatSpec,
  type ArmCheckpointReply,
  type FrozenImage,
  type Machine,
  type MachineSpec,
  type TracerHello,
} from '../machine/index.js';
import type { OfferFrame } from '../wire/frames.js';
import type { Link } from '../wire/link.js';
import type { DepartingDisks } from './departing-disks.js';
import { comfortablePace } from './convergence.js';
import { LogPump } from './log-pump.js';
import type { Undo } from './source-states.js';

/** What the tracer says of a machine that may be offered. @throws TrmigError E_BUSY when it is not dormant and running */
export async function helloForOffer(machine: Machine): Promise<TracerHello> {
  const hello = await machine.tracer.hello();
  if (hello.mode === 'dormant' && hello.running) return hello;
  const state = hello.mode === 'dormant' ? 'stopped' : hello.mode;
  throw new TrmigError('E_BUSY', `'${machine.name}' is ${state}: it cannot be migrated now`, {
    hint:
      hello.mode === 'dormant'
        ? 'Let it go on first (`cont` in its monitor).'
        : `Look at it with: trmig status ${machine.name}`,
    facts: { machine: machine.name, mode: hello.mode, running: hello.running },
  });
}

export interface OfferOptions {
  readonly migrationId: string;
  readonly epoch: number;
  readonly verify: boolean;
  /** What DepartingDisks says. */
  readonly disks: string;
  /** Where the destination can ask this host's journal; undefined when it does not listen. */
  readonly listens?: { readonly host: string; readonly port: number } | undefined;
}

export function makeOffer(spec: MachineSpec, hello: TracerHello, options: OfferOptions): OfferFrame {
  const { migrationId, epoch, verify, disks, listens } = options;
  return {
    kind: 'offer',
    migrationId,
    machine: spec.name,
    mode: 'migrate',
    verify,
    spec: formatSpec(spec),
    qemu: hello.qemu,
    target: hello.target,
    blocks: hello.blocks.map(({ name, bytes, pageBytes }) => ({ name, bytes, pageBytes })),
    sourceHost: listens?.host ?? hostname(),
    sourcePort: listens?.port ?? 0,
    disks,
    epoch,
  };
}

/** A machine that is recorded from its checkpoint on. */
export interface Armed {
  readonly pump: LogPump;
  readonly reply: ArmCheckpointReply;
  /** Instructions a second that it executed before, counted but not recorded. */
  readonly normalPerSecond: number;
  /** That is in force while the base is shipped. */
  readonly pace: number;
}

/**
 * Arms the machine with a checkpoint of it and its disks, at the shift that suits the speed it has just shown. A guest that
 * computes is paced from then on: what it executes while the base is shipped is to be replayed after it.
 * @param maxPace the most that it may be
 * @throws TrmigError E_TRACER_*, E_DISKS, E_QMP_*; the machine runs on, dormant
 */
export async function armForShipping(machine: Machine, disks: DepartingDisks, maxPace: number): Promise<Armed> {
  const { tracer, spec } = machine;
  await tracer.collapse();
  const probe = await tracer.probe(probeMs);
  const shift = typeof spec.shift === 'number' ? spec.shift : chooseShift(probe);
  const pump = await LogPump.open(tracer);
  const segments = { segmentMs: segmentMsShipping, segmentBytes: segmentBytesShipping };
  try {
    const reply = await disks.freeze(() => tracer.arm({ shift, stream: pump.name, ...segments, checkpoint: true }));
    const pace = probe.busyNs > busyShare * probe.ns ? Math.min(comfortablePace, maxPace) : 0;
    if (pace > 0) await tracer.pace(pace);
    // An idle guest is not looked at for long, and shows no speed.
    return { pump, reply, pace, normalPerSecond: (probe.instructions * 1e9) / Math.max(probe.ns, probeNsMin) };
  } catch (error) {
    pump.close();
    throw error;
  }
}

/** A guest that sleeps more replays faster than it was recorded. */
const busyShare = 0.8;
/** A shorter look shows no speed. */
const probeNsMin = 1e8;

/** Sends a frozen image's chunks and its end. @throws TrmigError E_IMAGE_READ, E_ABORTED, the link's fault */
export async function shipBase(
  link: Link,
  frozen: FrozenImage,
  options: { readonly signal: AbortSignal; readonly onProgress: (progress: CaptureProgress) => void },
): Promise<void> {
  const { signal } = options;
  let [chunks, pages] = [0, 0];
  for await (const chunk of captureImage(frozen, options)) {
    await link.send({ kind: 'imageChunk', ...chunk }, { signal });
    chunks++;
    pages += chunk.pages.length;
  }
  await link.send({ kind: 'imageEnd', pages, chunks, digest: '' }, { signal });
}

/**
 * Undoes a departure: the guest runs here again, dormant, whatever the tracer's mode is by now (it may have disarmed by
 * itself, or never have been fenced). @throws TrmigError E_TRACER_*
 */
export async function takeBack(machine: Machine, undo: Undo): Promise<void> {
  const { tracer } = machine;
  const { mode, running, owned, stoppedBy } = await tracer.status();
  if (undo === 'reclaim' && !owned) await tracer.reclaim();
  else if (mode === 'armed') await tracer.disarm();
  // A guest that somebody else has stopped stays so.
  else if (!running && stoppedBy !== null) await tracer.cont();
}

/** Whether the machine's QEMU has ended, or does now: its tracer goes with its process. */
export async function hasEnded(machine: Machine): Promise<boolean> {
  if (machine.tracer.closedBy === null) return false;
  for (let looks = 0; looks < 100; looks++) {
    if (!(await machine.isAlive())) return true;
    await new Promise((done) => setTimeout(done, 10));
  }
  return false;
}
