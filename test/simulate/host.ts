// A simulated host: a journal that survives, processes that do not, and a QEMU that has a life of its own.
import type { OwnershipRecord } from '../../src/migrate/journal.js';
import {
  advise,
  currentOwner,
  isSettled,
  isStuck,
  type Advice,
  type MachineSeen,
} from '../../src/migrate/ownership.js';
import { DestinationSession } from './destination-session.js';
import { checkRecord } from './invariants.js';
import type { End, Message, SimulatedLink } from './network.js';
import type { AnyEffect, AnyEvent } from './protocol.js';
import type { Session } from './session.js';
import { SimulatedJournal } from './simulated-journal.js';
import { SourceSession } from './source-session.js';
import type { World } from './world.js';

export class Host {
  readonly journal = new SimulatedJournal();
  sessions: Session[] = [];
  machine: MachineSeen = 'gone';
  /** Which of the guest's states its QEMU holds; the newest is `world.version`. */
  version = 0;
  /** A receiver has started a QEMU for a machine that is to come. */
  arriving = false;
  /** Its trmig runs and listens. */
  up = true;
  /** The host never comes back. */
  lost = false;
  /** Counts what may change its answers. */
  changes = 0;
  /** The guest begins here; false at the other host, and once its journal was removed with the machine. */
  #isHome: boolean;

  constructor(
    readonly world: World,
    readonly name: 'a' | 'b',
  ) {
    this.#isHome = name === 'a';
  }

  get runs(): boolean {
    return this.machine === 'running';
  }

  /** By its journal. */
  get owns(): boolean {
    const { records } = this.journal;
    return records.length === 0 ? this.#isHome : currentOwner(records) === 'here';
  }

  /** The guest goes on here, or runs already. */
  run(): void {
    const { world } = this;
    if (this.machine === 'running') return;
    if (this.version !== world.version)
      world.violated(`${this.name} goes on with a guest that has run elsewhere since`);
    this.machine = 'running';
    this.version = ++world.version;
    this.arriving = false;
    world.killed = false;
  }

  record(record: OwnershipRecord): void {
    this.changes++;
    this.journal.write(record);
    checkRecord(this, record);
  }

  retract(): void {
    this.changes++;
    this.journal.retract();
  }

  /** A record as a person, or a command that conducts nothing, writes it: of the latest migration. */
  settle(state: OwnershipRecord['state']): void {
    if (this.world.tells) this.world.note(`${this.name} settles: ${state}`);
    this.record({ ...this.journal.records.at(-1)!, state } as OwnershipRecord);
    this.journal.sync();
  }

  /** The machine is removed here, with its journal. */
  forget(): void {
    this.changes++;
    this.#isHome = false;
    this.journal.records.length = 0;
    this.journal.sync();
  }

  /** A session's process is gone, or done: its connections end. */
  end(session: Session): void {
    session.dead = true;
    this.changes++;
    this.sessions = this.sessions.filter((one) => one !== session);
    for (const link of this.world.links) {
      const end = link.endAt(this);
      if (end.reader === session) end.open = false;
    }
  }

  /** Everything of trmig dies here. */
  crash(): void {
    if (this.world.tells) this.world.note(`${this.name} crashes`);
    for (const session of [...this.sessions]) session.die();
    for (const link of this.world.links) link.endAt(this).open = false;
    this.up = false;
  }

  restart(): true {
    const { world } = this;
    this.up = true;
    this.changes++;
    if (world.protocol.guards.readsWhatIsSynced) this.journal.sync();
    const recovery = world.byHand ? null : world.protocol.recover(this.journal.records, this.machine);
    if (world.tells) world.note(`${this.name} restarts: ${recovery?.next.phase.at ?? 'serving'}`);
    if (recovery === null) {
      this.sweep();
      return true;
    }
    const { migrationId, epoch } = recovery.record;
    const peer = world.otherThan(this);
    const session =
      recovery.role === 'source'
        ? new SourceSession(world, this, peer, migrationId, recovery.next.phase, epoch)
        : new DestinationSession(world, this, peer, migrationId, recovery.next.phase, epoch);
    session.queue.push(...(recovery.next.effects as AnyEffect[]));
    this.sessions.push(session);
    return true;
  }

  /** Clears away what a trmig that died left: a copy, unless it may have been reported ready; a guest that has moved. */
  sweep(): void {
    const latest = this.journal.records.at(-1);
    const isConducted = this.sessions.some((one) => !one.isOver);
    if (this.machine === 'fenced' && latest?.state === 'retired' && !isConducted) this.machine = 'gone';
    if (!this.arriving || this.sessions.some((one) => one.role === 'destination' && !one.isLast)) return;
    const unsettled = latest?.role === 'destination' ? latest.state : null;
    if (unsettled === 'owner' || this.machine === 'running') return;
    if (this.machine === 'final' && unsettled === 'replaying') return;
    if (unsettled === 'replaying') {
      if (this.machine === 'gone') return;
      this.settle('discarded');
    }
    this.machine = 'gone';
    this.arriving = false;
  }

  killMachine(): void {
    if (this.machine === 'gone') return;
    if (this.world.tells) this.world.note(`${this.name}'s QEMU dies`);
    this.machine = 'gone';
    this.tell({ type: 'machineGone', error: { code: 'E_MACHINE_GONE', message: 'simulated' } });
  }

  /** Something that every process here will hear of. */
  tell(event: AnyEvent): void {
    for (const session of this.sessions) session.news.push(event);
  }

  /** What `trmig status` would show here. */
  get advice(): Advice | null {
    if (this.lost) return null;
    const session = this.sessions.find((one) => !one.isLast || one.phase.at === 'unresolved');
    const stuck = session !== undefined && isStuck(session.phase);
    return advise('m', this.journal.records, session !== undefined, stuck);
  }

  /** A message on a connection that ends here. */
  receive(message: Message, link: SimulatedLink, end: End): void {
    const { world } = this;
    if (world.tells) world.note(`${this.name} reads ${message.kind} of ${message.migration} on link ${link.id}`);
    if (message.kind === 'offer') end.reader = null; // Whoever has read here is done.
    if (end.reader !== null) {
      this.#take(end.reader, message);
      return;
    }
    const role = message.kind === 'query' ? 'source' : 'destination';
    const { ownFramesOnly } = world.protocol.guards;
    const conducts = (one: Session): boolean =>
      (one.migration === message.migration || !ownFramesOnly) && one.role === role && !one.suspended;
    const session = this.sessions.find(conducts);
    // A question may also come to a process that only reads the journal.
    const bypassed = message.kind === 'query' && world.random.chance(0.5);
    if (session === undefined || bypassed || !['query', 'commit'].includes(message.kind)) {
      this.#serve(message, link, end);
      return;
    }
    // A newer connection stays the one to reply on, whatever still arrives on older ones.
    end.reader = session;
    if (session.link === null || session.link.id < link.id) session.link = link;
    this.#take(session, message);
  }

  #take(session: Session, message: Message): void {
    const offering = session.phase.at === 'offering' && !['accept', 'refuse'].includes(message.kind);
    const isOfEarlier = message.kind === 'abort' ? message.migration !== session.migration : offering;
    if (session.role === 'source' && isOfEarlier && this.world.protocol.guards.ownFramesOnly) return;
    const event = session.eventOf(message);
    if (event !== null) session.happen(event);
  }

  /** What a process that conducts nothing does with a message: it has its journal. */
  #serve(message: Message, link: SimulatedLink, end: End): void {
    const { world } = this;
    const { replyToCommit } = world.protocol;
    const { migration, kind } = message;
    const { records } = this.journal;
    if (message.kind === 'offer') this.#admit(migration, message.epoch, link, end);
    else if (kind === 'query') {
      link.send(this, { kind: 'answer', migration, ...this.answers(migration) });
    } else if (kind === 'commit') {
      const reply = replyToCommit(records, migration);
      if (reply !== null) link.send(this, { kind: reply, migration });
      else if (!records.some((one) => one.migrationId === migration)) {
        world.violated('a commit came for a migration that the destination does not know');
      }
    }
  }

  /** Who holds the guest, as a process says that has only the journal. */
  answers(migration: string): { readonly holder: 'source' | 'destination' | 'unknown'; readonly epoch: number } {
    const { promised, protocol } = this.world;
    if (protocol.guards.readsWhatIsSynced) this.journal.sync();
    const { records } = this.journal;
    const holder = protocol.answerFrom(records, migration);
    if (holder === 'source') promised.add(migration);
    return { holder, epoch: records.findLast((one) => one.migrationId === migration)?.epoch ?? 0 };
  }

  /** A new migration may begin only where nothing is unfinished, and nobody is at work. */
  #admit(migration: string, offered: number, link: SimulatedLink, end: End): void {
    this.sweep();
    const busy = this.sessions.some((one) => !one.isLast) || this.machine !== 'gone';
    if (busy || !isSettled(this.journal.records)) {
      link.send(this, { kind: 'refuse', migration });
      return;
    }
    for (const over of [...this.sessions]) this.end(over);
    const { nextEpoch, guards } = this.world.protocol;
    const epoch = Math.max(nextEpoch(this.journal.records), guards.takesEpoch ? offered : 0);
    const peer = this.world.otherThan(this);
    const session = new DestinationSession(this.world, this, peer, migration, { at: 'offered' }, epoch);
    session.link = link;
    end.reader = session;
    session.queue.push({ do: 'admit' });
    this.sessions.push(session);
  }

  /** Whether a migration away from here can begin now, as a command would find out. */
  get mayDepart(): boolean {
    if (!this.up || this.lost || this.machine !== 'running') return false;
    // A suspended process counts too: it may wake up. Without the guard only those are seen that are awake.
    const { oneSource } = this.world.protocol.guards;
    if (this.sessions.some((one) => !one.isLast && (oneSource || !one.suspended))) return false;
    const last = this.journal.records.at(-1);
    return isSettled(this.journal.records) || (last?.role === 'source' && cameBack.includes(last.state));
  }

  depart(migration: string): true {
    const { world } = this;
    const last = this.journal.records.at(-1);
    if (last?.role === 'source' && cameBack.includes(last.state)) this.settle('returned');
    const epoch = world.protocol.nextEpoch(this.journal.records);
    const session = new SourceSession(world, this, world.otherThan(this), migration, { at: 'connecting' }, epoch);
    const goesOn = this.#goOn(session);
    for (const over of this.sessions.filter((one) => one.isLast)) this.end(over);
    this.sessions.push(session);
    if (world.tells) world.note(`${this.name} begins ${migration}${goesOn ? ` on link ${session.link!.id}` : ''}`);
    if (goesOn || world.dial(session)) session.happen({ type: 'connected' });
    else this.end(session);
    return true;
  }

  /** The connection of a migration away from here that has failed, if it is still open. */
  get openLink(): SimulatedLink | null {
    const failed = this.sessions.filter((one) => one.role === 'source' && one.isOver && one.phase.at === 'failed');
    const links = failed.map((one) => one.link).filter((link) => link !== null);
    return links.find(({ ends: [here] }) => here.open && here.reader !== null && failed.includes(here.reader)) ?? null;
  }

  /** A migration may begin on it. */
  #goOn(session: SourceSession): boolean {
    const link = this.openLink;
    if (link === null || this.world.random.chance(0.2)) return false;
    link.ends[0].reader = session;
    session.link = link;
    return true;
  }
}

/** Before it relinquishes, a source that dies leaves a guest that goes on by itself. */
const cameBack = ['recording', 'draining', 'reclaimed'];
