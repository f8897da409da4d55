// A person who reads `trmig status` and decides with `trmig resolve`, as its rules (src/migrate/resolve.ts) allow: who has
// seen to it that one host keeps its claim, and that the other one has given it up before.
import { isSettled, ownDecision } from '../../src/migrate/ownership.js';
import type { Host } from './host.js';
import type { World } from './world.js';

/** Settles what is unfinished at rest; false when nothing is. */
export function settleByPerson(world: World): boolean {
  const hosts = world.hosts.filter((host) => !host.lost);
  const unsettled = hosts.filter((host) => !isSettled(host.journal.records));
  if (unsettled.length === 0) return false;
  for (const host of unsettled) {
    if ((host.advice?.command ?? null) === null)
      world.violated(`at rest ${host.name} is unsettled, and names no command`);
  }
  world.resolved++;
  const able = hosts.filter((host) => mayGoOn(host));
  const keeper = hosts.find((host) => host.runs) ?? able.find((host) => !mayGiveUp(host)) ?? able[0];
  // Whoever is still at work on it is ended first.
  for (const host of hosts) for (const session of [...host.sessions]) host.end(session);
  for (const host of unsettled) if (host !== keeper) giveUp(world, host);
  if (keeper !== undefined && unsettled.includes(keeper)) keep(keeper);
  return true;
}

/** It holds the guest's newest state, and may be told to go on. */
function mayGoOn(host: Host): boolean {
  if (host.version !== host.world.version || isSettled(host.journal.records)) return false;
  const { role } = host.journal.records.at(-1)!;
  return role === 'source' ? host.machine === 'stopped' || host.machine === 'fenced' : host.machine === 'final';
}

/** What was never given away, and is there, cannot be given up. */
function mayGiveUp(host: Host): boolean {
  const { role, state } = host.journal.records.at(-1)!;
  if (host.machine === 'gone') return true;
  return role === 'source' ? state === 'relinquished' : state !== 'owner';
}

/** `trmig resolve --ask`, when nobody is at work here; false when nothing follows from it, or what does is refused. */
export function settleByAsking(host: Host): boolean {
  const { records } = host.journal;
  if (isSettled(records)) return false;
  const decision = ownDecision(records) ?? answeredDecision(host);
  const may = decision === 'here' ? isThere(host) : decision === 'there' && mayGiveUp(host);
  if (!may) return false;
  if (host.world.tells) host.world.note(`${host.name} asks, and decides: ${decision}`);
  if (decision === 'here') keep(host);
  else giveUp(host.world, host);
  return true;
}

/** By the journal of the other host's receiver; null when that cannot be asked, or cannot tell. */
function answeredDecision(host: Host): 'here' | 'there' | null {
  const { world } = host;
  const { role, migrationId } = host.journal.records.at(-1)!;
  const other = world.otherThan(host);
  if (!other.up || other.lost) return null;
  const holder = other.answers(migrationId).holder;
  return holder === 'unknown' ? null : holder === role ? 'here' : 'there';
}

/** Its QEMU holds a guest that can go on. */
function isThere({ journal, machine }: Host): boolean {
  const { role, state } = journal.records.at(-1)!;
  if (role === 'source') return machine === 'running' || machine === 'fenced';
  return machine === 'final' || (machine === 'running' && state === 'owner');
}

/** `trmig resolve --here` */
function keep(host: Host): void {
  const { role, state } = host.journal.records.at(-1)!;
  if (role === 'source') {
    if (state !== 'reclaimed') host.settle('reclaimed');
    host.run();
    host.settle('returned');
  } else {
    if (state !== 'owner') host.settle('owner');
    host.run();
    host.settle('live');
  }
}

/** `trmig resolve --there`, or `trmig rm --force` for an owner without its QEMU. */
function giveUp(world: World, host: Host): void {
  if (!mayGiveUp(host)) world.violated(`${host.name} cannot give up what it holds`);
  const { role, state } = host.journal.records.at(-1)!;
  if (role === 'destination' && state === 'owner') host.forget();
  else host.settle(role === 'source' ? 'retired' : 'discarded');
  host.machine = 'gone';
  host.arriving = false;
}

/** Somebody settles what a suspended source has left, and does not know that it lives; false when there is nothing like that. */
export function settleBesideSuspended(host: Host): boolean {
  const state = host.journal.records.at(-1)?.state ?? '';
  if (!['recording', 'draining'].includes(state) || !['running', 'fenced'].includes(host.machine)) return false;
  host.settle('reclaimed');
  host.run();
  host.settle('returned');
  return true;
}
