// What is done to a round's move, and when: by chance, and the same again for the same seed and round, whatever the rounds
// before it were. When a moment comes is the machine's affair: the same choice may meet another state.
import { seeded } from '../machine/random.js';
import type { Fault, Side } from '../faults/plan.js';

/** After so much of what a move usually takes, or so long after the source has begun to hand over. */
export type Moment =
  { readonly of: 'move'; readonly share: number } | { readonly of: 'handover'; readonly afterMs: number };

export interface Disturbance {
  readonly fault: Fault;
  readonly side: Side;
  readonly moment: Moment;
  /** Of a fault that ends by itself. */
  readonly lastsMs: number;
}

export interface Choice {
  /** All of RAM and the disk is compared at the handover. */
  readonly verify: boolean;
  /** null: nothing is done to it. */
  readonly disturbance: Disturbance | null;
}

const both = ['source', 'destination'] as const;
/** What may be done to whom. The only QEMU that has the guest is never killed, and a link has one side. */
const sidesOf: Readonly<Record<Fault, readonly Side[]>> = {
  kill: both,
  suspend: both,
  'kill-qemu': ['destination'],
  'suspend-qemu': both,
  cut: ['source'],
  stall: ['source'],
  flip: both,
  'disk-full': both,
  cancel: both,
  'cancel-twice': both,
  diverge: ['destination'],
};

/** Faults that could happen to the machine as it moves, each with its side. */
export const disturbances: readonly (readonly [Fault, Side])[] = Object.entries(sidesOf).flatMap(([fault, sides]) =>
  sides.map((side) => [fault as Fault, side] as const),
);

const undisturbedShare = 0.3;
/** Half of the moments are in the handover, which is a hundredth of a move. */
const handoverShare = 0.5;
const handoverMsMax = 200;
/** Shorter and longer than the stop's lease and the time after which a silent link is given up. */
const lastsMs = { least: 200, most: 14_000 } as const;
/** A QEMU that stands still is the guest standing still. */
const standstillMsMax = 5_000;

/** @param round from 1 */
export function choose(seed: number, round: number): Choice {
  const random = seeded(seed + round);
  const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)]!;
  const verify = random() < 0.5;
  if (random() < undisturbedShare) return { verify, disturbance: null };
  const [fault, side] = pick(disturbances);
  const moment: Moment =
    random() < handoverShare
      ? { of: 'handover', afterMs: Math.floor(random() * handoverMsMax) }
      : { of: 'move', share: random() };
  const most = fault === 'suspend-qemu' || fault === 'disk-full' ? standstillMsMax : lastsMs.most;
  const disturbance = { fault, side, moment, lastsMs: Math.floor(lastsMs.least + random() * (most - lastsMs.least)) };
  return { verify, disturbance };
}

/** The fault as a table names it: `kill source`. */
export function nameOf({ disturbance }: Choice): string {
  return disturbance === null ? 'undisturbed' : `${disturbance.fault} ${disturbance.side}`;
}
