// What must become of the guest, cell by cell. The rule is the order of the handover: before the source's journal says
// relinquished every fault leaves the guest where it is; once the destination's says owner it is there; between the two, and
// while its QEMU is fenced, a person may have to say what neither journal can. Where two outcomes are right, the fault met
// a race that either side may win.
import type { Verdict } from './cell.js';
import type { Cell, Fault } from './plan.js';

const stays: Verdict = 'stays';
const moves: Verdict = 'moves';
const lost: Verdict = 'is lost';
const staysByPerson: Verdict = 'stays, by a person';
const movesByPerson: Verdict = 'moves, by a person';
const either = [stays, moves];
const given = [moves, staysByPerson];

type Rules = Partial<Record<Fault, readonly Verdict[]>> & { readonly else: readonly Verdict[] };

/** Nothing that happens to a guest that runs here takes it away, but the death of its QEMU. */
const here: Rules = { 'kill-qemu': [lost], 'suspend-qemu': either, 'disk-full': either, else: [stays] };
/** It is not here any more. */
const gone: Rules = { else: [moves] };
/** The source's process dies, or its link, while nobody may run the guest. */
const fenced = { kill: [staysByPerson], 'cancel-twice': [staysByPerson], cut: [staysByPerson] } as const;

const source: Readonly<Record<string, Rules>> = {
  // It begins only afterwards.
  connecting: { ...here, suspend: [moves], stall: [stays], flip: [stays] },
  // What it is sent next may be `ready`, or, if that had come, what follows it.
  'awaiting-ready': { ...here, 'kill-qemu': [movesByPerson], flip: [stays, staysByPerson, moves] },
  fencing: {
    ...here,
    'kill-qemu': [movesByPerson],
    cancel: [moves],
    cut: [stays, staysByPerson],
    stall: [stays, staysByPerson],
    flip: [stays, staysByPerson, moves],
  },
  relinquishing: {
    ...fenced,
    suspend: [staysByPerson],
    stall: [staysByPerson],
    flip: [staysByPerson, moves],
    else: [moves],
  },
  relinquished: { ...fenced, suspend: [staysByPerson], stall: given, flip: given, else: [moves] },
  reclaiming: { ...fenced, cut: [stays], 'kill-qemu': [lost], else: [stays] },
  retired: gone,
  unresolved: { else: [movesByPerson] },
};

/** Until it is ready the guest is the source's, whatever happens here. A replay that goes astray is begun anew, and arrives. */
const there: Rules = { 'suspend-qemu': either, 'disk-full': either, diverge: [moves], else: [stays] };
const late = { kill: [movesByPerson], 'cancel-twice': [movesByPerson] } as const;
const destination: Readonly<Record<string, Rules>> = {
  // Between the two signals `ready` may still be sent.
  ready: { ...there, flip: [stays, staysByPerson, moves], 'cancel-twice': [stays, staysByPerson] },
  taking: {
    kill: [staysByPerson],
    'cancel-twice': [staysByPerson],
    'kill-qemu': [stays, staysByPerson],
    else: [moves],
  },
  owner: { ...late, 'kill-qemu': [staysByPerson], else: [moves] },
  live: { 'kill-qemu': [lost], else: [moves] },
  // The source's commit meets an end that is closed, which may cost it the word `declined`.
  declining: {
    ...fenced,
    cut: [stays, staysByPerson],
    suspend: [stays, staysByPerson],
    'disk-full': [stays, staysByPerson],
    else: [stays],
  },
  declined: { ...fenced, cut: [stays, staysByPerson], else: [stays] },
  unresolved: { else: [staysByPerson] },
};

/** The verdicts that are right. */
export function expectedOf({ side, at, fault }: Cell): readonly Verdict[] {
  const rules = side === 'source' ? (source[at] ?? here) : (destination[at] ?? there);
  return rules[fault] ?? rules.else;
}
