// What must be so after every step, and at the end of a run.
// Invariants checked: the guest never runs on two hosts, nor where the journal does not say so, nor twice from one state;
// both journals never claim it; where it runs nowhere somebody is at work on it or `trmig status` names a command; every
// move's epoch is greater than the one before it; whoever has answered "source" does not relinquish afterwards; at rest it runs, or a fault has killed all that held it.
import type { OwnershipRecord } from '../../src/migrate/journal.js';
import { isSettled } from '../../src/migrate/ownership.js';
import type { Host } from './host.js';
import type { World } from './world.js';

/** `lost`: faults have killed every QEMU that held the guest. */
export type End = 'a' | 'b' | 'lost';

export function checkStep(world: World): void {
  const { a, b } = world;
  if (a.runs && b.runs) world.violated('the guest runs on both hosts');
  if (a.owns && b.owns && !a.lost && !b.lost) world.violated('both journals say "here"');
  if (a.runs && !a.owns) world.violated('it runs at a, whose journal does not say so');
  if (b.runs && !b.owns) world.violated('it runs at b, whose journal does not say so');
  checkHope(world);
}

/** When it runs nowhere, it will, or somebody is told what to do. */
function checkHope(world: World): void {
  const { a, b } = world;
  if (a.runs || b.runs || world.killed || a.machine === 'stopped' || b.machine === 'stopped') return;
  const cares = (host: Host): boolean =>
    !host.lost && (host.advice !== null || host.sessions.some((one) => one.queue.length > 0));
  if (!cares(a) && !cares(b)) world.violated('it runs nowhere and nobody says so');
}

export function checkRecord(host: Host, { role, state, epoch, migrationId }: OwnershipRecord): void {
  const { world } = host;
  if (state === 'relinquished' && epoch <= world.ownerEpoch) {
    world.violated(`${host.name} gives it away with epoch ${epoch}; it has had ${world.ownerEpoch}`);
  }
  if (state === 'relinquished' && world.promised.has(migrationId)) {
    world.violated(`${host.name} gives it away after it has said that it would not`);
  }
  if (role !== 'destination' || state !== 'owner') return;
  if (world.promised.has(migrationId)) world.violated(`${host.name} takes it after it was said that the source has it`);
  const given = world.otherThan(host).journal.records.findLast((one) => one.migrationId === migrationId);
  if (given?.state === 'relinquished' && given.epoch !== epoch) {
    world.violated(`${host.name} takes it with epoch ${epoch}; it was given with ${given.epoch}`);
  }
  world.ownerEpoch = Math.max(world.ownerEpoch, epoch);
}

export function checkEnd(world: World): End {
  const { a, b, finalHost } = world;
  const host = a.runs ? a : b.runs ? b : null;
  if (host === null) {
    if (world.killed) return 'lost';
    return world.violated('at rest it runs nowhere, though no fault has killed it');
  }
  if (finalHost !== null) {
    if (finalHost !== host) world.violated(`a last, undisturbed move ends at ${host.name}`);
    for (const one of [a, b]) {
      if (!isSettled(one.journal.records)) world.violated(`after all of it ${one.name} is not settled`);
    }
    const left = world.otherThan(host).machine;
    if (left !== 'gone') world.violated(`a QEMU is left over where it is not: ${left}`);
  }
  return host.name;
}
