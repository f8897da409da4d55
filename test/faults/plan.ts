// Which fault is tried in which state. The states are those of the two tables: one that is new, and has neither cells nor a
// reason to have none, fails the test.
import { DESTINATION_TABLE, type DestinationPhase } from '../../src/migrate/destination-states.js';
import { SOURCE_TABLE, type SourcePhase } from '../../src/migrate/source-states.js';

export type Side = 'source' | 'destination';

/** What is done to one side, or to the link, when that side has just come to a state and done nothing in it yet. */
export const faults = {
  kill: 'its trmig is killed',
  suspend: 'its trmig is suspended for longer than leases and connections last',
  'kill-qemu': 'its QEMU is killed',
  'suspend-qemu': 'its QEMU stands still for some seconds',
  cut: 'the link is cut for good',
  stall: 'the link delivers nothing until both ends have given up',
  flip: 'a bit flips in what it is sent',
  'disk-full': 'its state directory is full',
  cancel: 'it is cancelled',
  'cancel-twice': 'it is cancelled, and ended at once by a second signal',
  diverge: "the replaying guest's memory is written to",
} as const;
export type Fault = keyof typeof faults;

/** How a state is come to: what is done where the undisturbed course comes by. */
export interface Step {
  readonly side: Side;
  readonly at: string;
  readonly does: 'go' | 'cancel' | 'kill-self' | 'kill-own-qemu' | 'kill-other-qemu';
  /** The side stays where it is until the fault has been done. */
  readonly stays?: true;
}

interface Plan {
  readonly route: readonly Step[];
  readonly faults: readonly Fault[];
  /** Why a fault that could be tried is not. */
  readonly without: string;
}

const process = ['kill', 'suspend', 'cancel', 'cancel-twice'] as const;
const machine = ['kill-qemu', 'suspend-qemu'] as const;
const link = ['cut', 'stall', 'flip'] as const;
const every = [...process, ...machine, ...link, 'disk-full'] as const satisfies Fault[];
const straight = (...left: readonly Fault[]): Plan => ({
  route: [],
  faults: every.filter((fault) => !left.includes(fault)),
  without: '',
});
const over = 'the session is over: only its process can still be lost, and what it has to write and to end';

/** Every state of the source, and what is tried in it. */
const sourcePlans: { readonly [At in SourcePhase['at']]: Plan } = {
  connecting: straight(),
  offering: straight(),
  arming: straight(),
  shipping: straight(),
  'catching-up': straight(),
  draining: straight(),
  'awaiting-ready': straight(),
  fencing: straight(),
  relinquishing: straight(),
  relinquished: straight(),
  retired: { ...straight('cancel', 'flip', 'stall'), without: over },
  returning: {
    route: [{ side: 'source', at: 'catching-up', does: 'cancel' }],
    faults: ['kill', 'suspend', 'kill-qemu', 'suspend-qemu', 'cut', 'disk-full', 'cancel-twice'],
    without: 'it is cancelled already, and nothing that crosses the link decides anything',
  },
  reclaiming: {
    route: [{ side: 'source', at: 'relinquished', does: 'kill-other-qemu' }],
    faults: ['kill', 'suspend', 'kill-qemu', 'cut', 'cancel-twice'],
    without: 'the destination has said its last word: the link, a second word and a slow QEMU change nothing',
  },
  aborted: {
    route: [{ side: 'source', at: 'catching-up', does: 'cancel' }],
    faults: ['kill', 'suspend', 'kill-qemu', 'disk-full'],
    without: over,
  },
  failed: {
    route: [{ side: 'source', at: 'catching-up', does: 'kill-other-qemu' }],
    faults: ['kill', 'suspend', 'kill-qemu', 'disk-full'],
    without: over,
  },
  unresolved: {
    route: [{ side: 'source', at: 'awaiting-ready', does: 'kill-own-qemu' }],
    faults: ['kill', 'cut'],
    without: `${over}; its QEMU is gone`,
  },
};

/** Every state of the destination. */
const destinationPlans: { readonly [At in DestinationPhase['at']]: Plan } = {
  offered: { ...straight('kill-qemu', 'suspend-qemu'), without: 'there is no QEMU yet' },
  preparing: { ...straight('kill-qemu', 'suspend-qemu'), without: 'there is no QEMU yet' },
  restoring: straight(),
  replaying: { ...straight(), faults: [...every, 'diverge'] },
  ready: straight(),
  taking: straight(),
  owner: straight(),
  live: { ...straight('flip', 'stall'), without: over },
  asking: {
    route: [{ side: 'source', at: 'fencing', does: 'kill-self' }],
    faults: ['kill', 'suspend', 'kill-qemu', 'cancel', 'cancel-twice'],
    without: 'the link is gone already, and nothing is computed or written',
  },
  declining: {
    route: [{ side: 'source', at: 'relinquished', does: 'kill-other-qemu', stays: true }],
    faults: ['kill', 'suspend', 'cut', 'disk-full', 'cancel-twice'],
    without: 'its QEMU is gone, and it gives up already',
  },
  declined: {
    route: [{ side: 'source', at: 'relinquished', does: 'kill-other-qemu', stays: true }],
    faults: ['kill', 'cut'],
    without: over,
  },
  discarded: {
    route: [{ side: 'source', at: 'catching-up', does: 'cancel' }],
    faults: ['kill', 'suspend', 'disk-full'],
    without: over,
  },
  unresolved: {
    route: [{ side: 'destination', at: 'owner', does: 'kill-own-qemu' }],
    faults: ['kill'],
    without: `${over}; its QEMU is gone`,
  },
};

export interface Cell {
  /** As `--cell` takes it: `kill-source:draining`. */
  readonly name: string;
  readonly fault: Fault;
  readonly side: Side;
  readonly at: string;
  readonly route: readonly Step[];
}

function cellsOf(side: Side, plans: Readonly<Record<string, Plan>>): Cell[] {
  return Object.entries(plans).flatMap(([at, { route, faults: tried }]) =>
    tried.map((fault) => ({ name: `${fault}-${side}:${at}`, fault, side, at, route })),
  );
}

export const cells: readonly Cell[] = [...cellsOf('source', sourcePlans), ...cellsOf('destination', destinationPlans)];

/** What is wrong with the plans: states that the tables have and the plans do not, faults left out without a reason. */
export function gaps(): string[] {
  const sides = [
    ['source', SOURCE_TABLE, sourcePlans],
    ['destination', DESTINATION_TABLE, destinationPlans],
  ] as const;
  return sides.flatMap(([side, table, plans]) => {
    const planned = plans as Readonly<Record<string, Plan | undefined>>;
    return Object.keys(table).flatMap((at) => {
      const plan = planned[at];
      if (plan === undefined) return [`${side}:${at} has no cells`];
      const left = every.filter((fault) => !plan.faults.includes(fault));
      return left.length > 0 && plan.without === ''
        ? [`${side}:${at} leaves out ${left.join(', ')} for no reason`]
        : [];
    });
  });
}
