// While armed, virtual time is instructions << shift nanoseconds. A shift too large makes the guest's clock run ahead: more
// timer ticks per instruction, larger logs (shift 3 on a fast guest: 12 times the ticks). Too small, and the guest's
// clock falls behind while it is busy. So the shift is chosen from the speed that the guest has just shown.
import { icountShiftMax } from '../limits.js';

/** Without a measurement. 1-2 ns an instruction is what TCG does on today's hosts. */
export const shiftDefault = 1;

/** Fewer instructions are an idle guest's timer ticks: they show nothing of its speed. */
const instructionsMin = 1_000_000;

/**
 * Chooses the icount shift, 0…10, such that 2^shift ns is closest to what an instruction takes in real time, as a ratio
 * (1.41 ns is as far from 1 as from 2). A tie goes to the smaller: a clock that lags costs less than one that races.
 * @param probe instructions executed and the CPU time the vCPU's thread spent on them, in ns (the tracer's `probe`)
 */
export function chooseShift(probe: { readonly instructions: number; readonly busyNs: number }): number {
  const { instructions, busyNs } = probe;
  if (!(instructions >= instructionsMin) || !(busyNs > 0)) return shiftDefault;
  const exact = Math.log2(busyNs / instructions);
  return Math.min(Math.max(Math.ceil(exact - 0.5), 0), icountShiftMax);
}
