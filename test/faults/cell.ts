// One fault in one state: the migration is brought there, the fault is done, and when all is calm again it is seen who has the
// guest, that it has run once only and lost nothing, that a person is told what there is to decide, and that it can be moved.
import { standingOf } from '../../src/migrate/standing.js';
import type { Home } from '../../src/machine/index.js';
import { consoleText, counters, discontinuity } from '../system/console.js';
import { patience, processesHere } from '../system/stage.js';
import { Holdable, goOnWithRoom, type Hosts } from './hosts.js';
import { isCalm, judge, type Place } from './judge.js';
import type { Parties } from './person.js';
import type { Cell, Side, Step } from './plan.js';
import { Proxy } from './proxy.js';
import { spoil } from './spoil.js';

/** What became of the guest: where it runs, with a person's decision or without; or its QEMU was the one that was killed. */
export type Verdict = Place | 'is lost';

export interface Outcome {
  readonly verdict: Verdict;
  /** What the two journals said before a person looked. */
  readonly records: string;
  readonly seconds: number;
  readonly problems: readonly string[];
}

const within = patience(180_000);

class Attempt {
  readonly problems: string[] = [];
  readonly from: Home;
  readonly to: Home;
  #before = 0;
  #parties!: Parties;
  #proxy!: Proxy;

  constructor(
    readonly hosts: Hosts,
    readonly cell: Cell,
  ) {
    this.from = hosts.source;
    this.to = hosts.destination;
  }

  async run(): Promise<Outcome> {
    const begunMs = performance.now();
    await this.hosts.boot();
    this.#before = this.hosts.mark(this.to);
    await this.#begin();
    try {
      await this.#comeThere();
      const { side } = this.cell;
      const own = this.#parties[side];
      await spoil(this.cell.fault, { hosts: this.hosts, side, home: this.#homeOf(side), own, proxy: this.#proxy });
      for (const step of this.cell.route) if (step.stays === true) this.#parties[step.side].tell('go');
      await this.#calm();
      if (this.cell.fault === 'disk-full') for (const home of [this.from, this.to]) await goOnWithRoom(home);
      const [records, verdict] = await this.#judge();
      if (verdict !== 'is lost') await this.#prove(verdict);
      return { verdict, records, seconds: (performance.now() - begunMs) / 1000, problems: this.problems };
    } finally {
      this.#proxy.cut();
      await this.#parties.source.kill();
      await this.#parties.destination.kill();
    }
  }

  #homeOf(side: Side): Home {
    return side === 'source' ? this.from : this.to;
  }

  async #begin(): Promise<void> {
    const { side, at, route } = this.cell;
    const holds = (of: Side): string =>
      [...route.filter((step) => step.side === of).map((step) => step.at), ...(side === of ? [at] : [])].join(',');
    const destination = Holdable.start('receiver-process.js', [this.to.root, holds('destination')]);
    const port = Number((await destination.says('port'))['port']);
    this.#proxy = await Proxy.to(port);
    const args = [this.from.root, String(this.#proxy.port), holds('source')];
    this.#parties = { source: Holdable.start('sender-process.js', args), destination };
  }

  /** Along the route to the cell's state; whoever is there stands still. */
  async #comeThere(): Promise<void> {
    for (const step of this.cell.route) {
      await this.#held(step.side, step.at);
      await this.#do(step);
    }
    await this.#held(this.cell.side, this.cell.at);
  }

  async #held(side: Side, at: string): Promise<void> {
    const party = this.#parties[side];
    const fails = (): boolean => party.isGone || (party.result !== undefined && !party.isHeldAt(at));
    await within(`the ${side} is held at ${at}`, () => party.isHeldAt(at) || fails());
    if (!party.isHeldAt(at)) throw new Error(`the ${side} did not come to ${at}: ${JSON.stringify(party.said)}`);
  }

  async #do({ side, does, stays }: Step): Promise<void> {
    const party = this.#parties[side];
    if (does === 'kill-self') return party.kill();
    if (does === 'kill-own-qemu' || does === 'kill-other-qemu') {
      const other = side === 'source' ? 'destination' : 'source';
      const pid = this.hosts.qemuOf(this.#homeOf(does === 'kill-own-qemu' ? side : other));
      if (pid !== null) process.kill(pid, 'SIGKILL');
    }
    if (stays !== true) party.tell(does === 'cancel' ? 'cancel' : 'go');
  }

  /** Until nothing changes by itself any more: both processes have ended or wait for a person, and no lease runs. */
  async #calm(): Promise<void> {
    const { source, destination } = this.#parties;
    const waits = (): boolean =>
      destination.isGone ||
      destination.result !== undefined ||
      [undefined, 'offered', 'asking'].includes(destination.lastPhase);
    await within('both have ended', () => source.isGone && waits());
    for (const home of [this.from, this.to]) {
      await within(`the machine on ${home.root} is calm`, async () => {
        const standing = await standingOf('m', { home }).catch(() => null);
        if (standing === null || standing.state !== 'running') return true;
        const { tracer } = standing;
        if (tracer === null) return false;
        return isCalm(tracer);
      });
    }
  }

  async #judge(): Promise<[string, Verdict]> {
    const { place, records, problems } = await judge({ from: this.from, to: this.to }, this.#parties);
    this.problems.push(...problems);
    if (place !== null) return [records, place];
    const killed = this.cell.fault === 'kill-qemu' || this.cell.route.some(({ does }) => does.endsWith('qemu'));
    if (!killed) this.problems.push('it runs nowhere, and nothing has killed it');
    return [records, 'is lost'];
  }

  /** The guest has run once only, goes on, finds its data, and moves as if nothing had been. */
  async #prove(verdict: Verdict): Promise<void> {
    const { hosts, to } = this;
    const there = consoleText(to.machine('m').consoleLog).slice(this.#before);
    if (verdict.startsWith('moves')) hosts.arrived(to, this.#before);
    else if (counters(there).length > 0)
      this.problems.push(`it said ${counters(there).length} lines where it never was`);
    await hosts.goesOn(hosts.source);
    if (!(await hosts.verifies(hosts.source))) this.problems.push('its disk is not what it wrote');
    await this.#parties.source.kill();
    await this.#parties.destination.kill();
    await this.#moveAgain();
    const gap = this.cell.fault === 'disk-full' ? repetition(hosts.text) : discontinuity(hosts.text);
    if (gap !== null) this.problems.push(`its console: ${gap}`);
  }

  async #moveAgain(): Promise<void> {
    const { hosts } = this;
    const [from, to] = [hosts.source, hosts.destination];
    const before = hosts.mark(to);
    const receiver = Holdable.start('receiver-process.js', [to.root, '']);
    try {
      const port = String((await receiver.says('port'))['port']);
      const sender = Holdable.start('sender-process.js', [from.root, port, '']);
      await within('a second migration ends', () => sender.isGone);
      if (sender.result !== 'retired') {
        this.problems.push(`a second migration: ${sender.result} ${sender.why} ${receiver.why}`);
        return;
      }
      await within('it has arrived', () => receiver.result !== undefined);
      hosts.arrived(to, before);
      await hosts.goesOn(to);
      const left = processesHere(from).length;
      if (left > 0) this.problems.push(`${left} QEMUs are left where it was`);
    } finally {
      await receiver.kill();
    }
  }
}

/** Of a console some of whose lines were lost on a full disk: a number that does not grow; null for none. */
export function repetition(text: string): string | null {
  const numbers = counters(text);
  const at = numbers.findIndex((number, i) => i > 0 && number <= numbers[i - 1]!);
  return at < 0 ? null : `${numbers[at]} follows ${numbers[at - 1]}`;
}

/** Runs a cell. The hosts go on with the guest if it lives. @throws Error when the cell's state was not come to */
export async function runCell(hosts: Hosts, cell: Cell): Promise<Outcome> {
  const outcome = await new Attempt(hosts, cell).run().catch((error: unknown) => {
    hosts.forget();
    throw error;
  });
  if (outcome.verdict === 'is lost' || outcome.problems.length > 0) hosts.forget();
  return outcome;
}
