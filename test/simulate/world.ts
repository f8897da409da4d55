// Two hosts, the links between them, and a seeded schedule of who gets to act and of what breaks. One step is one message
// read, one effect done, or one fault. No time passes; whatever can happen next may happen next. The guest is moved to and
// fro several times in one run; a move may begin while the leftovers of the one before are still under way.
import { breakSomething } from './faults.js';
import { Host } from './host.js';
import { checkEnd, checkStep, type End } from './invariants.js';
import { SimulatedLink } from './network.js';
import { settleBesideSuspended, settleByAsking, settleByPerson } from './person.js';
import { protocol as theProtocol, type Protocol } from './protocol.js';
import { Random } from './random.js';
import { failure, type Session } from './session.js';

export class Violation extends Error {}

export interface RunOptions {
  /** At most so many faults. */
  readonly faults: number;
  readonly protocol?: Protocol;
  /** Keep a trace. */
  readonly tells?: boolean;
}

export interface RunResult {
  /** What has become of the guest. */
  readonly end: End;
  readonly steps: number;
  readonly faults: number;
  /** Moves begun, moves made, a person's decisions. */
  readonly moves: { readonly begun: number; readonly made: number; readonly resolved: number };
}

type Action = () => boolean;
const stepsMax = 5000;
const movesMax = 3;

export class World {
  readonly random: Random;
  readonly protocol: Protocol;
  readonly a: Host;
  readonly b: Host;
  readonly tells: boolean;
  readonly trace: string[] = [];
  links: SimulatedLink[] = [];
  /** Half of the runs: a process that has died, or lost its peer, is not replaced by one that goes on from the journal. */
  readonly byHand: boolean;
  /** The guest's newest state: it counts where the guest went on somewhere. */
  version = 1;
  /** The epoch of the move that made its host the owner. */
  ownerEpoch = 0;
  /** Migrations of which somebody was told that the source holds the guest for good. */
  readonly promised = new Set<string>();
  /** A guest has been stopped for its handover, in the move that is under way. */
  handingOver = false;
  /** Faults have killed a QEMU that held the guest's newest state. */
  killed = false;
  faults = 0;
  resolved = 0;
  #faultsLeft: number;
  #linkCount = 0;
  #begun = 0;
  readonly #moves: number;
  /** Half of the runs keep their faults for handovers, where they hurt. */
  readonly #late: boolean;

  constructor(seed: number, options: RunOptions) {
    this.random = new Random(seed);
    this.protocol = options.protocol ?? theProtocol;
    this.tells = options.tells ?? false;
    this.#faultsLeft = this.random.below(options.faults + 1);
    this.#late = this.random.chance(0.5);
    this.byHand = this.random.chance(0.5);
    this.#moves = 1 + this.random.below(movesMax);
    this.a = new Host(this, 'a');
    this.b = new Host(this, 'b');
    this.a.machine = 'running';
    this.a.version = this.version;
  }

  get hosts(): readonly [Host, Host] {
    return [this.a, this.b];
  }

  otherThan(host: Host): Host {
    return host === this.a ? this.b : this.a;
  }

  note(line: string): void {
    this.trace.push(line);
  }

  violated(what: string): never {
    this.note(`VIOLATION: ${what}`);
    throw new Violation(what);
  }

  /** Whether a fault happens here; faults are a budget, so that every run comes to rest. */
  fault(probability: number): boolean {
    if (this.#faultsLeft === 0 || (this.#late && !this.handingOver)) return false;
    if (!this.random.chance(probability)) return false;
    this.#faultsLeft--;
    this.faults++;
    return true;
  }

  /** A new connection, if there is somebody at the other end. */
  dial(by: Session): boolean {
    if (!by.peer.up || by.peer.lost) return false;
    const link = new SimulatedLink(this.#linkCount++, by, by.peer);
    this.links.push(link);
    by.link = link;
    if (this.tells) this.note(`${by.name} dials link ${link.id}`);
    return true;
  }

  run(): RunResult {
    let steps = 0;
    for (; this.#step(); steps++) {
      checkStep(this);
      if (steps > stepsMax) this.violated('it does not come to rest');
    }
    let made = 0;
    for (const { journal } of this.hosts) made += journal.records.filter(({ state }) => state === 'owner').length;
    const moves = { begun: this.#begun, made, resolved: this.resolved };
    return { end: checkEnd(this), steps, faults: this.faults, moves };
  }

  /** One thing happens; false when nothing can any more. */
  #step(): boolean {
    if (this.fault(0.06)) {
      breakSomething(this);
      return true;
    }
    const actions: Action[] = [];
    for (const host of this.hosts) if (!host.lost) this.#addActions(host, actions);
    this.#addBeginning(actions);
    while (actions.length > 0) {
      const index = this.random.below(actions.length);
      const action = actions[index]!;
      actions[index] = actions.at(-1)!;
      actions.pop();
      if (action()) return true;
    }
    return this.#stir();
  }

  #addActions(host: Host, actions: Action[]): void {
    if (!host.up) {
      actions.push(() => host.restart());
      return;
    }
    for (const session of host.sessions) {
      if (session.suspended) {
        if (this.random.chance(0.05)) actions.push(() => this.#wake(session));
        if (session.role === 'source' && !this.protocol.guards.oneSource && this.random.chance(0.1)) {
          actions.push(() => settleBesideSuspended(host));
        }
        continue;
      }
      if (session.queue.length > 0) actions.push(() => session.work());
      if (session.news.length > 0) actions.push(() => (session.happen(session.news.shift()!), true));
      if (session.isOver && this.random.chance(0.05)) actions.push(() => (host.end(session), true));
    }
    if (host.sessions.length === 0 && this.random.chance(0.1)) actions.push(() => settleByAsking(host));
    for (const link of this.links) {
      const end = link.endAt(host);
      if (!end.open || end.reader?.suspended === true) continue;
      if (link.isEarlyFor(end)) continue;
      if (end.inbox.length > 0 && !link.stalled) {
        actions.push(() => (host.receive(end.inbox.shift()!, link, end), true));
      } else if (link.endsFor(end)) actions.push(() => this.#notice(host, link));
      else if (link.isSilentFor(end) && this.random.chance(0.1)) actions.push(() => this.#losePatience(host, link));
    }
    if (host.machine === 'stopped' && !host.sessions.some((one) => !one.suspended)) {
      if (this.random.chance(0.2)) actions.push(() => this.expireLease(host));
    }
  }

  /** The next move, by whoever wants to try again, or back. */
  #addBeginning(actions: Action[]): void {
    if (this.#begun >= this.#moves) return;
    const host = this.hosts.find((one) => one.mayDepart && this.otherThan(one).up && !this.otherThan(one).lost);
    // A guest whose migration seems to stand still, or has just failed, is soon tried again.
    const soon = host?.sessions.some((one) => one.suspended) === true || (host?.openLink ?? null) !== null;
    const eagerness = this.#begun === 0 ? 1 : soon ? 0.5 : 0.05;
    if (eagerness < 1 && !this.random.chance(eagerness)) return;
    if (host !== undefined) actions.push(() => this.#begin(host));
  }

  #begin(host: Host): true {
    this.handingOver = false;
    return host.depart(`m${++this.#begun}`);
  }

  #wake(session: Session): true {
    if (this.tells) this.note(`${session.name} goes on`);
    session.suspended = false;
    return true;
  }

  #notice(host: Host, link: SimulatedLink): true {
    const end = link.endAt(host);
    end.open = false;
    if (this.links.length > 8) this.links = this.links.filter((one) => !one.over);
    const session = end.reader;
    if (session === null || session.link !== link) return true;
    session.link = null;
    // A question that was lost is asked again.
    if (session.phase.at === 'asking') session.queue.push({ do: 'ask' });
    else session.happen({ type: 'peerGone', error: failure });
    return true;
  }

  /** Nothing was heard for long: the end is closed, or, during a handover, the migration given up over a living link. */
  #losePatience(host: Host, link: SimulatedLink): true {
    const session = link.endAt(host).reader;
    if (this.tells) this.note(`${host.name} loses patience on link ${link.id}`);
    const waits = session !== null && ['draining', 'awaiting-ready'].includes(session.phase.at);
    if (waits && this.random.chance(0.5)) {
      session.happen({ type: 'failed', error: failure });
      return true;
    }
    return this.#notice(host, link);
  }

  expireLease(host: Host): true {
    if (this.tells) this.note(`${host.name}'s lease runs out: the guest goes on`);
    host.run();
    host.tell({ type: 'failed', error: failure });
    return true;
  }

  /** Nothing happens by itself any more: what only takes time comes, then a person, then the next move. */
  #stir(): boolean {
    const suspended = this.hosts.flatMap(({ sessions }) => sessions).filter((one) => one.suspended);
    const stalled = this.links.filter((link) => link.stalled);
    for (const session of suspended) this.#wake(session);
    for (const link of stalled) link.stalled = false;
    if (suspended.length + stalled.length > 0) return true;
    // Its process has nothing left to do: the other side learns of its end.
    const over = this.hosts.flatMap(({ sessions }) => sessions).filter((one) => one.isOver);
    for (const session of over) session.host.end(session);
    if (over.length > 0) return true;
    // A lease always ends, and nobody renews it who is dead.
    for (const host of this.hosts) {
      if (host.machine === 'stopped' && !host.lost && host.sessions.length === 0) return this.expireLease(host);
    }
    if (settleByPerson(this)) return true;
    return this.#finalMove();
  }

  /** What is left of all that must not hinder a last, undisturbed move, and it leaves nothing behind. */
  #finalMove(): boolean {
    if (this.hosts.some((host) => host.lost)) return false;
    const host = this.hosts.find((one) => one.runs);
    if (host === undefined || this.#begun > this.#moves) return false;
    if (!host.mayDepart) this.violated(`at rest the guest runs at ${host.name} and cannot be moved`);
    this.#faultsLeft = 0;
    if (this.#begun < this.#moves) return this.#begin(host);
    this.#begin(host);
    this.finalHost = this.otherThan(host);
    return true;
  }

  /** Where the last, undisturbed move must end. */
  finalHost: Host | null = null;
}

/** Runs one seed. @throws Violation with the end of its trace and the command that replays it. */
export function simulate(seed: number, options: RunOptions): { world: World; result: RunResult } {
  const world = new World(seed, options);
  try {
    return { world, result: world.run() };
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    if (!world.tells) return simulate(seed, { ...options, tells: true });
    const reproduce = `reproduce: node build/test/simulate/replay.js --seed ${seed} --faults ${options.faults}`;
    throw new Violation(`${error.message}\n${world.trace.slice(-60).join('\n')}\n${reproduce}`);
  }
}
