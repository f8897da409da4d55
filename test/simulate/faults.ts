// What breaks.
import type { Host } from './host.js';
import { cancelled } from './session.js';
import type { World } from './world.js';

/** Does one fault of a random kind to a random host or link; it may hit nothing. */
export function breakSomething(world: World): void {
  const { random } = world;
  const host = random.pick(world.hosts);
  if (host.lost) return;
  switch (random.below(13)) {
    case 0:
    case 1:
      return cut(world);
    case 2:
      return stall(world);
    case 3:
    case 4:
      if (host.up) host.crash();
      return;
    case 5:
    case 6:
      return suspend(world, host);
    case 7:
      return kill(world, host);
    case 8:
      if (host.machine === 'stopped') world.expireLease(host);
      return;
    case 9:
      return cancel(world, host);
    case 10:
      if (random.chance(0.3)) lose(world, host);
      return;
    case 11:
    case 12:
      return losePower(world, host);
  }
}

function cut(world: World): void {
  const whole = world.links.filter((link) => !link.cut);
  if (whole.length === 0) return;
  const link = world.random.pick(whole);
  if (world.tells) world.note(`link ${link.id} is cut`);
  link.sever((count) => world.random.below(count));
}

/** Nothing arrives on it for a long time. */
function stall(world: World): void {
  const well = world.links.filter((link) => !link.cut && !link.stalled);
  if (well.length === 0) return;
  const link = world.random.pick(well);
  if (world.tells) world.note(`link ${link.id} stalls`);
  link.stalled = true;
}

/** A process stands still for long, and goes on with what it knew. */
function suspend(world: World, host: Host): void {
  const awake = host.sessions.filter((one) => !one.suspended);
  if (awake.length === 0) return;
  const session = world.random.pick(awake);
  if (world.tells) world.note(`${session.name} is suspended`);
  session.suspended = true;
}

function cancel(world: World, host: Host): void {
  const { sessions } = host;
  if (sessions.length === 0) return;
  const session = world.random.pick(sessions);
  const times = world.random.chance(0.3) ? 2 : 1;
  if (world.tells) world.note(`${session.name} is cancelled${times === 2 ? ' twice' : ''}`);
  // A receiver that is stopped gives up its copy, which may be the only one left: that is a person's doing.
  const holdsTheLast = host.version === world.version && !holds(world.otherThan(host), world.version);
  if (holdsTheLast && session.role === 'destination') world.killed = true;
  for (let i = 0; i < times; i++) session.news.push({ type: 'cancel', error: cancelled });
}

/** Whether its QEMU holds the guest in this state, and nobody is about to discard it. */
function holds(host: Host, version: number): boolean {
  if (host.lost || host.machine === 'gone' || host.version !== version) return false;
  const last = host.journal.records.at(-1);
  if (last?.role !== 'destination' || host.machine === 'running') return true;
  if (['declined', 'discarded'].includes(last.state) || host.world.promised.has(last.migrationId)) return false;
  return !host.sessions.some(
    ({ phase, news }) =>
      ['declining', 'declined', 'discarded'].includes(phase.at) || news.some(({ type }) => type === 'cancel'),
  );
}

function kill(world: World, host: Host): void {
  const held = host.machine !== 'gone' && host.version === world.version;
  host.killMachine();
  if (held && !holds(world.otherThan(host), world.version)) world.killed = true;
}

/** The host goes and comes back: nothing of it is left but what was synced. */
function losePower(world: World, host: Host): void {
  if (world.tells) world.note(`${host.name} loses power`);
  if (host.up) host.crash();
  kill(world, host);
  host.journal.losePower(world.random);
  host.arriving = host.arriving && host.machine !== 'gone';
}

/** The host is gone for good. */
function lose(world: World, host: Host): void {
  if (world.tells) world.note(`${host.name} is lost for good`);
  if (host.up) host.crash();
  kill(world, host);
  host.lost = true;
}
