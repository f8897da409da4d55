// The effects of both sides.
import {
  nextDestination,
  type DestinationEffect,
  type DestinationEvent,
  type DestinationPhase,
} from '../../src/migrate/destination-states.js';
import { answerFrom, replyToCommit } from '../../src/migrate/ownership.js';
import { nextSource, type SourceEffect, type SourceEvent, type SourcePhase } from '../../src/migrate/source-states.js';
import type { Next } from '../../src/migrate/table.js';
import { Host, type AnyEffect, type AnyPhase } from './host.js';
import type { Message, SimulatedLink } from './network.js';

const failure = { code: 'E_SIMULATED', message: 'simulated' };
const final = (digest: string): { icount: number; registers: string; devices: string } => ({
  icount: 1000,
  registers: digest,
  devices: 'd',
});

export class Source extends Host {
  protected override next(phase: AnyPhase, event: SourceEvent): Next<AnyPhase, AnyEffect> {
    return nextSource(phase as SourcePhase, event);
  }

  protected override eventOf(message: Message): SourceEvent | null {
    switch (message.kind) {
      case 'accept':
        return { type: 'accepted' };
      case 'refuse':
        return { type: 'refused', error: failure };
      case 'ready':
        return { type: 'ready', final: final(message.digest) };
      case 'live':
        return { type: 'live' };
      case 'declined':
        return { type: 'declined', error: failure };
      case 'abort':
        return { type: 'peerAborted', error: failure };
      case 'query':
        return { type: 'asked' };
      default:
        return this.world.violated(`source got ${message.kind}`);
    }
  }

  protected override serve(message: Message, link: SimulatedLink): void {
    if (message.kind === 'query') link.send('source', { kind: 'answer', holder: answerFrom(this.records, 'm') });
  }

  protected override perform(effect: SourceEffect): boolean {
    const { world } = this;
    switch (effect.do) {
      case 'sendOffer':
        return (this.send({ kind: 'offer' }), true);
      case 'arm':
        if (this.runs) this.happen({ type: 'armed' });
        return true;
      case 'ship':
        this.send({ kind: 'base' });
        this.happen({ type: 'baseSent' });
        return true;
      case 'converge':
        this.happen({ type: 'handover' });
        return true;
      case 'finish':
        if (!this.runs) return true;
        this.machine = 'stopped';
        world.finished = true;
        this.send({ kind: 'final' });
        this.happen({ type: 'drained', final: final('r') });
        return true;
      case 'fence':
        if (this.machine === 'stopped') {
          this.machine = 'fenced';
          // Something else may go wrong while the tracer is still answering.
          if (world.fault(0.05)) this.happen({ type: 'failed', error: failure });
          this.happen({ type: 'fenced' });
        } else if (this.machine === 'running') this.happen({ type: 'failed', error: failure });
        return true;
      case 'journal':
        return this.journal(effect.state, effect.state === 'relinquished' || effect.state === 'reclaimed');
      case 'sendCommit':
        return (this.send({ kind: 'commit' }), true);
      case 'redial':
        if (this.process?.phase?.at !== 'relinquished') return true;
        if (!world.dial(this)) return false;
        this.happen({ type: 'connected' });
        return true;
      case 'sendAnswer':
        return (this.send({ kind: 'answer', holder: effect.holder }), true);
      case 'sendAbort':
        return (this.send({ kind: 'abort' }), true);
      case 'sendRetired':
        return (this.send({ kind: 'retired' }), true);
      case 'giveBack':
        return this.#giveBack(effect.undo);
      case 'retire':
        this.machine = 'gone';
        return true;
      case 'close':
        if (this.process?.link) this.process.link.open.source = false;
        return true;
    }
  }

  #giveBack(undo: 'disarm' | 'resume' | 'reclaim'): boolean {
    if (this.machine === 'gone') this.happen({ type: 'machineGone', error: failure });
    else if (this.machine === 'fenced' && undo !== 'reclaim') this.world.violated(`a fenced guest cannot ${undo}`);
    else {
      this.run();
      this.happen({ type: 'returned' });
    }
    return true;
  }

  /** The guest runs on here. */
  run(): void {
    if (this.world.movedOn) this.world.violated('the guest goes on at the source although it ran at the destination');
    if (this.machine !== 'running' && this.world.finished) this.world.ranOn = true;
    this.machine = 'running';
  }
}

export class Destination extends Host {
  #hasBase = false;
  #hasFinal = false;

  protected override next(phase: AnyPhase, event: DestinationEvent): Next<AnyPhase, AnyEffect> {
    return nextDestination(phase as DestinationPhase, event);
  }

  protected override eventOf(message: Message): DestinationEvent | null {
    switch (message.kind) {
      case 'base':
        this.#hasBase = true;
        return null;
      case 'final':
        this.#hasFinal = true;
        return null;
      case 'commit':
        return { type: 'commit' };
      case 'retired':
        return { type: 'retired' };
      case 'abort':
        return { type: 'peerAborted', error: failure };
      case 'answer':
        return { type: 'answer', holder: message.holder };
      default:
        return this.world.violated(`destination got ${message.kind}`);
    }
  }

  protected override serve(message: Message, link: SimulatedLink): void {
    if (message.kind === 'offer') {
      this.process = { phase: { at: 'offered' }, queue: [{ do: 'admit' }], link };
    } else if (message.kind === 'commit') {
      const reply = replyToCommit(this.records, 'm');
      if (reply !== null) link.send('destination', { kind: reply });
      else this.world.violated('a commit came for a migration that the destination does not know');
    }
  }

  protected override perform(effect: DestinationEffect): boolean {
    const { world } = this;
    switch (effect.do) {
      case 'admit':
        if (world.fault(0.01)) this.happen({ type: 'refused', error: failure });
        else this.happen({ type: 'admitted' });
        return true;
      case 'launch':
        this.machine = 'replaying';
        this.happen({ type: 'launched' });
        return true;
      case 'sendAccept':
        return (this.send({ kind: 'accept' }), true);
      case 'sendRefuse':
        return (this.send({ kind: 'refuse' }), true);
      case 'restore':
        if (this.process?.phase?.at !== 'restoring') return true;
        if (!this.#hasBase) return false;
        this.happen({ type: 'restored' });
        return true;
      case 'play':
        if (this.process?.phase?.at !== 'replaying') return true;
        if (!this.#hasFinal) return false;
        if (this.machine !== 'replaying') return true;
        if (world.fault(0.02)) this.happen({ type: 'failed', error: failure });
        else {
          this.machine = 'final';
          world.digest = world.fault(0.02) ? 'other' : 'r';
          this.happen({ type: 'reached', final: final(world.digest) });
        }
        return true;
      case 'journal':
        return this.journal(effect.state, effect.state === 'owner' || effect.state === 'declined');
      case 'sendReady':
        return (this.send({ kind: 'ready', digest: world.digest }), true);
      case 'ask':
        if (this.process?.phase?.at !== 'asking') return true;
        if (!world.dial(this)) return false;
        this.send({ kind: 'query' });
        return true;
      case 'goLive':
        if (this.machine === 'final') {
          if (world.ranOn) world.violated('the destination goes live although the guest ran on at the source');
          if (world.digest !== 'r') world.violated('the destination goes live with another state');
          this.machine = 'running';
          world.movedOn = true;
          this.happen({ type: 'running' });
        } else this.happen({ type: 'failed', error: failure });
        return true;
      case 'sendLive':
        return (this.send({ kind: 'live' }), true);
      case 'sendAbort':
        return (this.send({ kind: 'abort' }), true);
      case 'sendDeclined':
        return (this.send({ kind: 'declined' }), true);
      case 'discard':
        if (this.runs) world.violated('a running guest is discarded');
        this.machine = 'gone';
        return true;
      case 'close':
        if (this.process?.link) this.process.link.open.destination = false;
        return true;
    }
  }

  protected override sweep(): void {
    if (this.records.length === 0) this.machine = 'gone';
  }
}
