// One process that conducts one side of one migration: it follows the real state table; its effects act on a simulated host.
// It may be suspended for any time and go on with what it knew, or die with an effect half done.
import { step, type EventLike, type PhaseLike, type Table } from '../../src/migrate/table.js';
import type { OwnershipRecord } from '../../src/migrate/journal.js';
import type { Host } from './host.js';
import type { Message, SimulatedLink } from './network.js';
import type { AnyEffect, AnyEvent, AnyPhase } from './protocol.js';
import type { World } from './world.js';

export const failure = { code: 'E_SIMULATED', message: 'simulated' };
export const cancelled = { code: 'E_ABORTED', message: 'cancelled' };
const lastPhases = ['aborted', 'failed', 'retired', 'unresolved', 'live', 'declined', 'discarded'];
/** Effects that only wait for something. */
const waiting = ['ask', 'redial', 'restore', 'play'];

type AnyTable = Table<PhaseLike, EventLike, unknown>;

export abstract class Session {
  readonly queue: AnyEffect[] = [];
  /** What its own host has told it and it has not read yet: its QEMU, its tracer, its user. */
  readonly news: AnyEvent[] = [];
  suspended = false;
  dead = false;
  link: SimulatedLink | null = null;
  /** A record that is written and not yet synced. */
  #writing = false;
  /** A sync has failed: it believes its journal no more. */
  #broken = false;
  /** Records in the journal, as this process knows it. */
  #seen: number;

  constructor(
    readonly world: World,
    readonly host: Host,
    readonly peer: Host,
    readonly migration: string,
    public phase: AnyPhase,
    public epoch: number,
  ) {
    this.#seen = host.journal.records.length;
  }

  abstract readonly role: 'source' | 'destination';
  protected abstract readonly table: unknown;
  /** What a message means to it. */
  abstract eventOf(message: Message): AnyEvent | null;
  /** Does an effect; false when it cannot be done yet. */
  protected abstract perform(effect: AnyEffect): boolean;

  get isLast(): boolean {
    return lastPhases.includes(this.phase.at);
  }

  /** It has nothing left to do. */
  get isOver(): boolean {
    return this.isLast && this.queue.length === 0 && this.news.length === 0;
  }

  get name(): string {
    return `${this.host.name}'s ${this.role} of ${this.migration}`;
  }

  happen(event: AnyEvent): void {
    if (this.dead) return;
    const { world } = this;
    const before = this.phase.at;
    const { phase, effects, refused } = step<PhaseLike, EventLike, unknown>(this.table as AnyTable, this.phase, event);
    if (world.tells) world.note(`${this.name}: ${before} --${event.type}--> ${refused ? 'REFUSED' : phase.at}`);
    if (refused !== null) {
      if (refused.code !== 'E_TOO_LATE') world.violated(`${this.name}: ${refused.message}`);
      return;
    }
    this.phase = phase as AnyPhase;
    if (before !== phase.at) this.host.changes++;
    this.queue.push(...(effects as AnyEffect[]));
  }

  /** Ends its connection; or leaves it to a migration that may follow on it. */
  protected close(): true {
    const end = this.link?.endAt(this.host);
    const may = ['failed', 'discarded'].includes(this.phase.at) && this.world.random.chance(0.5);
    if (end !== undefined && !may) end.open = false;
    return true;
  }

  /** Does the next effect; false when it cannot be done yet. */
  work(): boolean {
    const effect = this.queue.shift()!;
    if (!this.perform(effect)) {
      this.queue.unshift(effect);
      return false;
    }
    if (this.world.tells)
      this.world.note(`${this.name} did ${effect.do}${'state' in effect ? ` ${effect.state}` : ''}`);
    return true;
  }

  send(message: { [K in Message as K['kind']]: Omit<K, 'migration'> }[Message['kind']]): true {
    this.link?.send(this.host, { ...message, migration: this.migration });
    return true;
  }

  /** Writes the journal as the table wants it: the records it waits for end in an event. A record is first there, then synced. */
  protected journal(state: OwnershipRecord['state'], awaited: boolean): boolean {
    const { world } = this;
    const { journal } = this.host;
    if (this.#writing) {
      this.#writing = false;
      if (!world.fault(0.03)) {
        journal.sync();
        return this.#journaled('journaled', awaited);
      }
      this.#broken = true;
      if (world.random.chance(0.5)) this.host.retract();
      return this.#journaled('journalUnknown', awaited);
    }
    if (this.#broken) return this.#journaled('journalUnknown', awaited);
    const isSole = this.#seen === journal.records.length;
    if (!isSole || world.fault(0.03)) return this.#journaled('journalRefused', awaited);
    const { migration: migrationId, epoch, role } = this;
    this.host.record({ migrationId, epoch, role, state, peer: `${this.peer.name}:1`, time: '' } as OwnershipRecord);
    this.#seen = journal.records.length;
    this.#writing = true;
    this.queue.unshift({ do: 'journal', state });
    return true;
  }

  #journaled(how: 'journaled' | 'journalRefused' | 'journalUnknown', awaited: boolean): true {
    if (awaited) this.happen(how === 'journaled' ? { type: how } : { type: how, error: failure });
    else if (how !== 'journaled') this.happen({ type: 'failed', error: failure });
    return true;
  }

  /** The process dies; an effect that was under way may have been done, and nobody was told. */
  die(): void {
    this.dead = true;
    const [effect] = this.queue;
    if (effect !== undefined && !waiting.includes(effect.do) && this.world.random.chance(0.5)) this.work();
    this.host.end(this);
  }
}
