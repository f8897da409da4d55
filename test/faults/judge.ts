// Who has a guest when all is calm, by what `trmig status` says on both hosts; a person decides what is undecided.
import type { Home, TracerStatus } from '../../src/machine/index.js';
import { statusOf, trmig, type Holdable, type Shown, type Trmig } from './hosts.js';
import { decide, type Pair, type Parties } from './person.js';

/** Where the guest runs, with a person's decision or without. */
export type Place = 'stays' | 'moves' | 'stays, by a person' | 'moves, by a person';

export interface Judgement {
  /** null: nowhere. */
  readonly place: Place | null;
  /** What the two journals said before a person looked. */
  readonly records: string;
  readonly problems: readonly string[];
}

/** Whether nothing of the guest's state changes by itself any more: no lease runs, and nobody records it. */
export function isCalm({ running, mode, leaseMs }: Pick<TracerStatus, 'running' | 'mode' | 'leaseMs'>): boolean {
  return running ? mode === 'dormant' : (leaseMs ?? 0) === 0;
}

export async function judge(
  homes: Pair<Home>,
  parties: Parties<Pick<Holdable, 'kill'>>,
  run: Trmig = trmig,
): Promise<Judgement> {
  const look = async (): Promise<Pair<Shown>> => ({
    from: await statusOf(homes.from, run),
    to: await statusOf(homes.to, run),
  });
  const shown = await look();
  const records = `${shown.from.record ?? '-'} | ${shown.to.record ?? '-'}`;
  const problems = ownerProblems(shown);
  if (shown.from.command === null && shown.to.command === null) return { place: placeOf(shown, ''), records, problems };
  problems.push(...(await decide(homes, shown, parties, run)));
  const now = await look();
  problems.push(...ownerProblems(now));
  for (const { command } of [now.from, now.to]) if (command !== null) problems.push(`it is still to ${command}`);
  // What runs already was only settled.
  const decided = shown.from.runs || shown.to.runs ? '' : ', by a person';
  return { place: placeOf(now, decided), records, problems };
}

function ownerProblems(shown: Pair<Shown>): string[] {
  const { from, to } = shown;
  const problems: string[] = [];
  if (from.runs && to.runs) problems.push('it runs on both hosts');
  if (from.owner === 'here' && to.owner === 'here') problems.push('both journals say "here"');
  for (const [name, { runs, owner }] of Object.entries(shown)) {
    if (runs && owner !== 'here') problems.push(`it runs on the host it went ${name}, which does not own it`);
  }
  return problems;
}

function placeOf({ from, to }: Pair<Shown>, how: '' | ', by a person'): Place | null {
  if (from.runs) return `stays${how}`;
  return to.runs ? `moves${how}` : null;
}
