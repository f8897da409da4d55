// The stopped machine at the source is the last witness of what was handed over: its memory and disks are compared with
// what the destination found at the same instruction (`--verify`).

import { verifyMsMax } from '../limits.js';
import type { Machine } from '../machine/index.js';
import { digestBlocks } from '../native/index.js';
import type { VerifyFrame } from '../wire/frames.js';
import type { DepartingDisks } from './departing-disks.js';
import type { Comparison } from './report.js';

/** Both are `skipped` when the destination said nothing in time, or is gone (`theirs` null); disks are too when the machine has none. */
export async function compareWithWitness(
  machine: Machine,
  disks: DepartingDisks,
  theirs: Promise<VerifyFrame | null>,
): Promise<{ readonly ram: Comparison; readonly disks: Comparison }> {
  const { pid, blocks } = await machine.tracer.hello();
  const ours = { ram: await digestBlocks(pid, blocks), disks: await disks.digest() };
  const timeout = new Promise<null>((done) => setTimeout(() => done(null), verifyMsMax).unref());
  const there = await Promise.race([theirs, timeout]);
  if (there === null) return { ram: 'skipped', disks: 'skipped' };
  const compare = (here: string, other: string): Comparison => (here === other ? 'equal' : 'different');
  return {
    ram: compare(ours.ram, there.ram),
    disks: ours.disks === '' ? 'skipped' : compare(ours.disks, there.disks),
  };
}
