// Two hosts, the links between them, and a seeded schedule of who gets to act and of what breaks. One step is one message
// read, one effect done, or one fault. No time passes; whatever can happen next may happen next.
import { currentOwner } from '../../src/migrate/ownership.js';
import { SimulatedLink } from './network.js';
import { Random } from './random.js';
import { Destination, Source } from './sides.js';
import type { Host } from './host.js';

export class Violation extends Error {}

export interface RunResult {
  /** What has become of the guest. */
  readonly end: 'source' | 'destination' | 'resolve' | 'dead';
  readonly steps: number;
  readonly faults: number;
  readonly trace: readonly string[];
}

const stepsMax = 3000;
const failure = { code: 'E_SIMULATED', message: 'simulated' };

export class World {
  readonly random: Random;
  readonly source: Source;
  readonly destination: Destination;
  readonly links: SimulatedLink[] = [];
  readonly trace: string[] = [];
  /** The guest has been stopped at the log's last instruction. */
  finished = false;
  /** It has run on at the source since: the destination's copy is stale. */
  ranOn = false;
  /** It has run at the destination: the source's copy is stale. */
  movedOn = false;
  digest = 'r';
  faults = 0;
  #faultsLeft: number;
  /** Half of the runs keep their faults for the handover, where they hurt. */
  readonly #late: boolean;
  /** Faults have killed every QEMU that held the guest as it was. */
  #killed = false;

  constructor(seed: number, faultsMax: number) {
    this.random = new Random(seed);
    this.#faultsLeft = this.random.below(faultsMax + 1);
    this.#late = this.random.chance(0.5);
    this.source = new Source(this, 'source');
    this.destination = new Destination(this, 'destination');
    this.source.machine = 'running';
    this.source.process = { phase: { at: 'connecting' }, queue: [], link: null };
    this.destination.process = { phase: null, queue: [], link: null };
    this.dial(this.source);
    this.source.happen({ type: 'connected' });
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
    if (this.#late && !this.finished) return false;
    if (this.#faultsLeft === 0 || !this.random.chance(probability)) return false;
    this.#faultsLeft--;
    this.faults++;
    return true;
  }

  journalFault(): 'none' | 'refused' | 'unknown' {
    if (this.fault(0.03)) return 'refused';
    return this.fault(0.01) ? 'unknown' : 'none';
  }

  /** A new connection between the two processes, if both live. */
  dial(by: Host): boolean {
    if (this.source.process === null || this.destination.process === null) return false;
    const link = new SimulatedLink(this.links.length);
    this.links.push(link);
    by.process!.link = link;
    this.note(`${by.side} dials link ${link.id}`);
    return true;
  }

  run(): RunResult {
    let steps = 0;
    for (; this.#step(); steps++) {
      this.#check();
      if (steps > stepsMax) this.violated('it does not come to rest');
    }
    return { end: this.#end(), steps, faults: this.faults, trace: this.trace };
  }

  /** One thing happens; false when nothing can any more. */
  #step(): boolean {
    const actions = [...this.#actionsOf(this.source), ...this.#actionsOf(this.destination)];
    if (this.fault(0.08)) {
      this.#breakSomething();
      return true;
    }
    while (actions.length > 0) {
      const [action] = actions.splice(this.random.below(actions.length), 1);
      if (action!()) return true;
    }
    // A lease always ends, and nobody renews it who is dead.
    if (this.source.machine === 'stopped' && this.source.process === null) return this.#expireLease();
    return false;
  }

  #actionsOf(host: Host): (() => boolean)[] {
    if (host.lost) return [];
    if (host.process === null) return [() => (host.restart(), true)];
    const actions: (() => boolean)[] = [];
    if (host.busy) actions.push(() => host.work());
    for (const link of this.links) {
      if (link.open[host.side] && link.inbox[host.side].length > 0) {
        actions.push(() => (host.receive(link.inbox[host.side].shift()!, link), true));
      } else if (link.endsFor(host.side)) {
        actions.push(() => this.#notice(host, link));
      }
    }
    return actions;
  }

  #notice(host: Host, link: SimulatedLink): boolean {
    link.open[host.side] = false;
    const process = host.process!;
    if (process.link !== link) return true;
    process.link = null;
    // A question that was lost is asked again.
    if (process.phase?.at === 'asking') process.queue.push({ do: 'ask' });
    else host.happen({ type: 'peerGone', error: failure });
    return true;
  }

  #expireLease(): boolean {
    this.note('the lease runs out: the guest goes on');
    this.source.run();
    this.source.happen({ type: 'failed', error: failure });
    return true;
  }

  #breakSomething(): void {
    const host: Host = this.random.pick([this.source, this.destination]);
    switch (this.random.below(8)) {
      case 0:
      case 1: {
        const whole = this.links.filter((link) => !link.cut);
        if (whole.length === 0) return;
        this.note('a link is cut');
        this.random.pick(whole).sever((count) => this.random.below(count));
        return;
      }
      case 2:
      case 3:
        if (host.process !== null) host.crash();
        return;
      case 4:
        this.#kill(host);
        return;
      case 5:
        if (this.source.machine === 'stopped') this.#expireLease();
        return;
      case 6:
        // Declining while the source is lost for good is a person's decision to let the guest go.
        if (this.source.lost) return;
        host.happen({ type: 'cancel', error: { code: 'E_ABORTED', message: 'cancelled' } });
        return;
      case 7:
        if (!this.random.chance(0.3)) return;
        // The whole host, for good.
        if (host.process !== null) host.crash();
        this.#kill(host);
        host.lost = true;
        return;
    }
  }

  #kill(host: Host): void {
    host.killMachine();
    const { source, destination } = this;
    const here = source.runs || (!this.movedOn && ['stopped', 'fenced'].includes(source.machine));
    const keeps = ['replaying', 'ready', 'asking', 'taking', 'owner'].includes(
      destination.process?.phase?.at ?? 'asking',
    );
    const unsettled = ['replaying', 'owner'].includes(destination.records.at(-1)?.state ?? '');
    const whole = destination.machine === 'final' && !this.ranOn && this.digest === 'r';
    const there = destination.runs || (whole && keeps && unsettled);
    if (!here && !there) this.#killed = true;
  }

  #check(): void {
    const { source, destination } = this;
    if (source.runs && destination.runs) this.violated('the guest runs on both hosts');
    const ownsThere = destination.records.length > 0 && currentOwner(destination.records) === 'here';
    if (currentOwner(source.records) === 'here' && ownsThere && destination.records.at(-1)!.state !== 'declined') {
      this.violated('both journals say "here"');
    }
    if (source.runs && currentOwner(source.records) !== 'here')
      this.violated('it runs at a source that does not own it');
    if (destination.runs && !ownsThere) this.violated('it runs at a destination that does not own it');
    this.#checkHope();
  }

  /** When it runs nowhere, it will, or somebody is told what to do. */
  #checkHope(): void {
    const { source, destination } = this;
    if (source.runs || destination.runs || this.#killed || source.machine === 'stopped') return;
    const hosts = [source, destination];
    const conducted = hosts.some((host) => host.process !== null && host.process.phase !== null && host.busy);
    if (!conducted && hosts.every((host) => host.advice === null)) this.violated('it runs nowhere and nobody says so');
  }

  #end(): RunResult['end'] {
    const { source, destination } = this;
    if (source.runs) return 'source';
    if (destination.runs) return 'destination';
    const hosts = [source, destination];
    const named = hosts.some((host) => (host.advice?.command ?? null) !== null);
    const undecidable = hosts.some((host) => host.lost || host.process?.phase?.at === 'unresolved');
    if (named && undecidable) return 'resolve';
    if (this.#killed) return 'dead';
    return this.violated(
      named ? 'at rest, it runs nowhere, though both hosts could tell' : 'at rest, it runs nowhere, unsaid',
    );
  }
}

/** Runs one seed. @throws Violation with the trace in the world. */
export function simulate(seed: number, faultsMax: number): { world: World; result: RunResult } {
  const world = new World(seed, faultsMax);
  try {
    return { world, result: world.run() };
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    const reproduce = `reproduce: node build/test/simulate/replay.js --seed ${seed} --faults ${faultsMax}`;
    throw new Violation(`${error.message}\n${world.trace.slice(-40).join('\n')}\n${reproduce}`);
  }
}
