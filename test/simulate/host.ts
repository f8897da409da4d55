// One side of a simulated migration: a journal that survives, a process that does not, and a QEMU that has a life of its
// own. The process follows the real state table; this file only does the effects, in a world without time.
import type { OwnershipRecord } from '../../src/migrate/journal.js';
import { advise, isStuck, recover, type MachineSeen, type Recovery } from '../../src/migrate/ownership.js';
import type { DestinationEffect, DestinationEvent, DestinationPhase } from '../../src/migrate/destination-states.js';
import type { SourceEffect, SourceEvent, SourcePhase } from '../../src/migrate/source-states.js';
import type { Next } from '../../src/migrate/table.js';
import type { Message, Side, SimulatedLink } from './network.js';
import type { World } from './world.js';

export type AnyPhase = SourcePhase | DestinationPhase;
export type AnyEvent = SourceEvent | DestinationEvent;
export type AnyEffect = SourceEffect | DestinationEffect;

export interface Process {
  /** null: it serves, and conducts nothing. */
  phase: AnyPhase | null;
  queue: AnyEffect[];
  link: SimulatedLink | null;
}

export abstract class Host {
  readonly records: OwnershipRecord[] = [];
  process: Process | null = null;
  machine: MachineSeen = 'gone';
  /** The host never comes back. */
  lost = false;

  constructor(
    readonly world: World,
    readonly side: Side,
  ) {}

  protected abstract next(phase: AnyPhase, event: AnyEvent): Next<AnyPhase, AnyEffect>;
  /** Does an effect; false when it cannot be done yet. */
  protected abstract perform(effect: AnyEffect): boolean;
  /** What a message means to the conducting process. */
  protected abstract eventOf(message: Message): AnyEvent | null;
  /** What a serving process replies to a message. */
  protected abstract serve(message: Message, link: SimulatedLink): void;

  get runs(): boolean {
    return this.machine === 'running';
  }

  happen(event: AnyEvent): void {
    const process = this.process;
    if (process === null || process.phase === null) return;
    const before = process.phase.at;
    const { phase, effects, refused } = this.next(process.phase, event);
    this.world.note(`${this.side} ${before} --${event.type}--> ${refused === null ? phase.at : 'REFUSED'}`);
    if (refused !== null) {
      if (refused.code !== 'E_TOO_LATE') this.world.violated(`${this.side}: ${refused.message}`);
      return;
    }
    process.phase = phase;
    process.queue.push(...effects);
  }

  receive(message: Message, link: SimulatedLink): void {
    const process = this.process!;
    this.world.note(`${this.side} reads ${message.kind} on link ${link.id}`);
    if (process.phase === null) {
      this.serve(message, link);
      return;
    }
    // A newer connection stays the one to reply on, whatever still arrives on older ones.
    if (process.link === null || process.link.id < link.id) process.link = link;
    const event = this.eventOf(message);
    if (event !== null) this.happen(event);
  }

  /** Whether the head of the queue could be done now; tried for real by `work`. */
  get busy(): boolean {
    return this.process !== null && this.process.queue.length > 0;
  }

  work(): boolean {
    const process = this.process!;
    const effect = process.queue.shift()!;
    if (this.perform(effect)) {
      this.world.note(`${this.side} did ${effect.do}${'state' in effect ? ` ${effect.state}` : ''}`);
      return true;
    }
    process.queue.unshift(effect);
    return false;
  }

  protected send(message: Message): void {
    this.process?.link?.send(this.side, message);
  }

  /** Writes the journal as the table wants it: the records it waits for end in an event. */
  protected journal(state: OwnershipRecord['state'], awaited: boolean): boolean {
    const record = { migrationId: 'm', epoch: 1, role: this.side, state, peer: 'peer:1', time: '' } as OwnershipRecord;
    const fault = this.world.journalFault();
    const error = { code: 'E_JOURNAL', message: 'simulated' };
    if (fault === 'none' || (fault === 'unknown' && this.world.random.chance(0.5))) this.records.push(record);
    if (!awaited) {
      if (fault !== 'none') this.happen({ type: 'failed', error });
    } else if (fault === 'none') this.happen({ type: 'journaled' });
    else if (fault === 'refused') this.happen({ type: 'journalRefused', error });
    else this.happen({ type: 'journalUnknown', error });
    return true;
  }

  /** The process dies; an effect that was under way may have been done, and nobody was told. */
  crash(): void {
    const process = this.process!;
    const [effect] = process.queue;
    if (effect !== undefined && this.world.random.chance(0.5)) {
      // Its event goes nowhere: the process is dead while it is done.
      this.world.note(`${this.side} crashes after ${effect.do}`);
      process.queue = [effect];
      process.phase = null;
      if (!['ask', 'redial', 'restore', 'play'].includes(effect.do)) this.work();
    } else this.world.note(`${this.side} crashes`);
    this.process = null;
    for (const link of this.world.links) link.open[this.side] = false;
  }

  restart(): void {
    const recovery: Recovery | null = recover(this.records, this.machine);
    this.process = { phase: recovery?.next.phase ?? null, queue: [...(recovery?.next.effects ?? [])], link: null };
    this.world.note(`${this.side} restarts: ${this.process.phase?.at ?? 'serving'}`);
    if (recovery === null) this.sweep();
  }

  /** A restarted host removes what an unfinished try left, when its journal knows of nothing. */
  protected sweep(): void {}

  killMachine(): void {
    if (this.machine === 'gone') return;
    this.world.note(`${this.side}'s QEMU dies`);
    this.machine = 'gone';
    this.happen({ type: 'machineGone', error: { code: 'E_MACHINE_GONE', message: 'simulated' } });
  }

  /** What `trmig status` would show here. */
  get advice(): { command: string | null } | null {
    if (this.lost) return null;
    const phase = this.process?.phase ?? null;
    return advise('m', this.records, phase !== null, phase !== null && isStuck(phase));
  }
}
