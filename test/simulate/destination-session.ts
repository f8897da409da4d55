// The effects of a destination.
import type { DestinationEffect, DestinationEvent, DestinationPhase } from '../../src/migrate/destination-states.js';
import type { Host } from './host.js';
import type { Message } from './network.js';
import type { DestinationTable } from './protocol.js';
import { Session, failure } from './session.js';
import { finalOf, sound } from './source-session.js';
import type { World } from './world.js';

/** What a replay that went elsewhere has made: no state that the guest ever was in. */
const elsewhere = -1;

export class DestinationSession extends Session {
  readonly role = 'destination';
  protected readonly table: DestinationTable;
  #hasBase = false;
  #finalVersion: number | null = null;
  #digest = sound;
  /** The other host's state when it was asked last: there is no use in asking twice. */
  #askedAt: number | null = null;

  constructor(world: World, host: Host, peer: Host, migration: string, phase: DestinationPhase, epoch: number) {
    super(world, host, peer, migration, phase, epoch);
    this.table = world.protocol.destination;
  }

  override eventOf(message: Message): DestinationEvent | null {
    const { takesEpoch } = this.world.protocol.guards;
    switch (message.kind) {
      case 'base':
        this.#hasBase = true;
        return null;
      case 'final':
        this.#finalVersion = message.version;
        return null;
      case 'commit':
        if (takesEpoch) this.epoch = message.epoch;
        return { type: 'commit' };
      case 'retired':
        return { type: 'retired' };
      case 'abort':
        return { type: 'peerAborted', error: failure };
      case 'answer':
        if (takesEpoch && message.holder === 'destination') this.epoch = message.epoch;
        return { type: 'answer', holder: message.holder };
      default:
        return this.world.violated(`${this.name} got ${message.kind}`);
    }
  }

  protected override perform(effect: DestinationEffect): boolean {
    const { world, host } = this;
    switch (effect.do) {
      case 'admit':
        this.happen(world.fault(0.01) ? { type: 'refused', error: failure } : { type: 'admitted' });
        return true;
      case 'launch':
        host.machine = 'replaying';
        host.arriving = true;
        this.happen({ type: 'launched' });
        return true;
      case 'sendAccept':
        return this.send({ kind: 'accept' });
      case 'sendRefuse':
        return this.send({ kind: 'refuse' });
      case 'restore':
        if (this.phase.at !== 'restoring') return true;
        if (!this.#hasBase) return false;
        this.happen({ type: 'restored' });
        return true;
      case 'play':
        return this.#play();
      case 'journal':
        return this.journal(effect.state, effect.state === 'owner' || effect.state === 'declined');
      case 'sendReady':
        return this.send({ kind: 'ready', version: this.#finalVersion!, digest: this.#digest });
      case 'ask':
        return this.#ask();
      case 'goLive':
        return this.#goLive();
      case 'sendLive':
        return this.send({ kind: 'live' });
      case 'sendAbort':
        return this.send({ kind: 'abort' });
      case 'sendDeclined':
        return this.send({ kind: 'declined' });
      case 'discard':
        if (host.machine === 'running') world.violated('a running guest is discarded');
        host.machine = 'gone';
        host.arriving = false;
        return true;
      case 'close':
        return this.close();
    }
    return world.violated(`there is an effect without a simulation: ${JSON.stringify(effect)}`);
  }

  #play(): boolean {
    const { world, host } = this;
    if (this.phase.at !== 'replaying') return true;
    if (this.#finalVersion === null) return false;
    if (host.machine !== 'replaying') return true;
    if (world.fault(0.02)) this.happen({ type: 'failed', error: failure });
    else {
      host.machine = 'final';
      this.#digest = world.fault(0.02) ? 'other' : sound;
      host.version = this.#digest === sound ? this.#finalVersion : elsewhere;
      this.happen({ type: 'reached', final: finalOf(this.#finalVersion, this.#digest) });
    }
    return true;
  }

  /** By hand nobody dials: it waits for a person. */
  #ask(): boolean {
    if (this.phase.at !== 'asking') return true;
    if (this.world.byHand || this.#askedAt === this.peer.changes || !this.world.dial(this)) return false;
    this.#askedAt = this.peer.changes;
    return this.send({ kind: 'query' });
  }

  #goLive(): true {
    const { host } = this;
    if (host.machine === 'final') {
      host.run();
      // The guest runs, and its tracer's answer is lost.
      if (this.world.fault(0.02)) this.happen({ type: 'failed', error: failure });
      else this.happen({ type: 'running' });
    } else this.happen({ type: 'failed', error: failure });
    return true;
  }
}
