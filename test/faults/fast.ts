// The cells that are tried on every change: where the handover is decided. Suspended processes take long, and are tried with all
// others in test/soak/faults.test.ts.
import { cells, type Cell } from './plan.js';

const names = [
  'cancel-source:catching-up',
  'cut-source:shipping',
  'flip-destination:replaying',
  'diverge-destination:replaying',
  'kill-source:awaiting-ready',
  'kill-destination:ready',
  'kill-qemu-destination:ready',
  'cut-source:awaiting-ready',
  'cancel-twice-source:draining',
  'kill-source:relinquishing',
  'cut-destination:ready',
  'kill-destination:taking',
  'kill-source:relinquished',
  'kill-source:retired',
  'kill-destination:live',
];

export const fastCells: readonly Cell[] = names.map((name) => {
  const cell = cells.find((one) => one.name === name);
  if (cell === undefined) throw new Error(`there is no cell ${name}`);
  return cell;
});
