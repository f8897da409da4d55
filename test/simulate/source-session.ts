// The effects of a source.
import type { SourceEffect, SourceEvent, SourcePhase } from '../../src/migrate/source-states.js';
import type { Host } from './host.js';
import type { Message } from './network.js';
import type { SourceTable } from './protocol.js';
import { Session, failure } from './session.js';
import type { World } from './world.js';

/** The digest of a guest that was replayed as it was recorded. */
export const sound = 'r';
export const finalOf = (version: number, digest: string): { icount: number; registers: string; devices: string } => ({
  icount: version,
  registers: digest,
  devices: 'd',
});

export class SourceSession extends Session {
  readonly role = 'source';
  protected readonly table: SourceTable;

  constructor(world: World, host: Host, peer: Host, migration: string, phase: SourcePhase, epoch: number) {
    super(world, host, peer, migration, phase, epoch);
    this.table = world.protocol.source;
  }

  override eventOf(message: Message): SourceEvent | null {
    switch (message.kind) {
      case 'accept':
        return { type: 'accepted' };
      case 'refuse':
        return { type: 'refused', error: failure };
      case 'ready':
        return { type: 'ready', final: finalOf(message.version, message.digest) };
      case 'live':
        return { type: 'live' };
      case 'declined':
        return { type: 'declined', error: failure };
      case 'abort':
        return { type: 'peerAborted', error: failure };
      case 'query':
        return { type: 'asked' };
      default:
        return this.world.violated(`${this.name} got ${message.kind}`);
    }
  }

  protected override perform(effect: SourceEffect): boolean {
    const { world, host } = this;
    switch (effect.do) {
      case 'sendOffer':
        return this.send({ kind: 'offer', epoch: this.epoch });
      case 'arm':
        this.happen(host.machine === 'running' ? { type: 'armed' } : { type: 'failed', error: failure });
        return true;
      case 'ship':
        this.send({ kind: 'base' });
        this.happen({ type: 'baseSent' });
        return true;
      case 'converge':
        this.happen({ type: 'handover' });
        return true;
      case 'finish':
        return this.#finish();
      case 'fence':
        return this.#fence();
      case 'journal':
        return this.journal(effect.state, effect.state === 'relinquished' || effect.state === 'reclaimed');
      case 'sendCommit':
        return this.send({ kind: 'commit', epoch: this.epoch });
      case 'redial':
        return this.#redial();
      case 'sendAnswer':
        if (effect.holder === 'source') this.#promise();
        return this.send({ kind: 'answer', holder: effect.holder, epoch: this.epoch });
      case 'sendAbort':
        return this.send({ kind: 'abort' });
      case 'sendRetired':
        return this.send({ kind: 'retired' });
      case 'giveBack':
        return this.#giveBack(effect.undo);
      case 'retire':
        host.machine = 'gone';
        return true;
      case 'close':
        return this.close();
    }
    return world.violated(`there is an effect without a simulation: ${JSON.stringify(effect)}`);
  }

  /** The destination discards its copy then: it must not be the last one. */
  #promise(): void {
    const { world, host, peer } = this;
    world.promised.add(this.migration);
    if (!host.runs && peer.machine === 'final' && peer.version === world.version) {
      world.violated(`${host.name} says that it holds the guest, which does not run there`);
    }
  }

  #finish(): true {
    const { host, world } = this;
    if (this.phase.at !== 'draining') return true;
    if (host.machine !== 'running') {
      this.happen({ type: 'failed', error: failure });
      return true;
    }
    host.machine = 'stopped';
    world.handingOver = true;
    this.send({ kind: 'final', version: host.version });
    this.happen({ type: 'drained', final: finalOf(host.version, sound) });
    return true;
  }

  #fence(): true {
    const { host, world } = this;
    if (host.machine === 'stopped') {
      host.machine = 'fenced';
      // Something else may go wrong while the tracer is still answering.
      if (world.fault(0.05)) this.happen({ type: 'failed', error: failure });
      this.happen({ type: 'fenced' });
    } else this.happen({ type: 'failed', error: failure });
    return true;
  }

  /** By hand it ends here: a person, or a later command, goes on from the journal. */
  #redial(): boolean {
    if (this.phase.at !== 'relinquished') return true;
    if (this.world.byHand) {
      this.host.end(this);
      return true;
    }
    if (!this.world.dial(this)) return false;
    this.happen({ type: 'connected' });
    return true;
  }

  #giveBack(undo: 'disarm' | 'resume' | 'reclaim'): true {
    const { host, world } = this;
    if (host.machine === 'gone') this.happen({ type: 'machineGone', error: failure });
    else if (host.machine === 'fenced' && undo !== 'reclaim') world.violated(`a fenced guest cannot ${undo}`);
    else {
      host.run();
      this.happen({ type: 'returned' });
    }
    return true;
  }
}
