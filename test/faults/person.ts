// A person who reads what `trmig status` names on both hosts, and settles it with the commands that it names: first the host
// that gives up its claim, then the one that keeps the guest.
import type { Home } from '../../src/machine/index.js';
import { trmig, type Holdable, type Shown, type Trmig } from './hosts.js';

export interface Parties<Party = Holdable> {
  readonly source: Party;
  readonly destination: Party;
}

/** Of the host that the guest was to leave, and the one that it was to come to. */
export interface Pair<T> {
  readonly from: T;
  readonly to: T;
}

/** Settles what both hosts show as undecided; returns what the commands refused. */
export async function decide(
  homes: Pair<Home>,
  shown: Pair<Shown>,
  parties: Parties<Pick<Holdable, 'kill'>>,
  run: Trmig = trmig,
): Promise<string[]> {
  // Whoever waits for a host that will not come back is ended first.
  await parties.source.kill();
  await parties.destination.kill();
  const keeps = keeper(shown);
  const gives = keeps === 'from' ? 'to' : 'from';
  const problems: string[] = [];
  const settle = async (which: 'from' | 'to', how: '--here' | '--there'): Promise<void> => {
    const { command, state, record } = shown[which];
    if (command === null) return;
    if (command !== 'trmig resolve m') problems.push(`status names '${command}'`);
    // An owner whose QEMU is gone has nothing to give up but its name.
    const removed = record === 'owner' && how === '--there' && state !== 'running';
    const words = removed ? ['rm', 'm', '--force'] : ['resolve', 'm', how];
    const { code, stdout } = await run(homes[which], ...words, '--json');
    if (code !== 0) problems.push(`trmig ${words.join(' ')}: ${stdout.trim()}`);
  };
  await settle(gives, '--there');
  await settle(keeps, '--here');
  return problems;
}

/** Where the guest goes on: where it runs; where it may have run; else where its QEMU still lives, rather at home. */
function keeper({ from, to }: Pair<Shown>): 'from' | 'to' {
  if (from.runs) return 'from';
  if (to.runs || (to.record === 'owner' && to.state === 'running')) return 'to';
  return from.state === 'running' || to.state !== 'running' ? 'from' : 'to';
}
