// The destination of a migration: receives a machine, replays its log, takes it over. The phases and what each event leads
// to stand in destination-states.ts; here is what the effects do.
// Invariants: QEMU is started and complete before the source touches its guest; the machine goes live only after this
// host's journal says owner; whatever fails before that leaves nothing behind.

import { TrmigError, asTrmigError } from '../errors.js';
import type { FrozenImage, Home, Machine, TracerEventData } from '../machine/index.js';
import type { CheckpointFrame, OfferFrame, SessionFrame } from '../wire/frames.js';
import type { Link } from '../wire/link.js';
import { rehearseHandover } from '../wire/rehearsal.js';
import { ArrivingMachine } from './arriving-machine.js';
import { BaseRestore } from './base-restore.js';
import {
  nextDestination,
  type DestinationEffect,
  type DestinationEvent,
  type DestinationPhase,
} from './destination-states.js';
import type { DestinationRecordState } from './journal.js';
import { destinationPatienceMs } from './link-patience.js';
import { LogFeed } from './log-feed.js';
import { LogWindow, divergenceOf } from './log-window.js';
import { watchReplay } from './replay-watch.js';
import { Session, failureOf } from './session.js';
import type { Failure, FinalState } from './source-states.js';

export interface DestinationOptions {
  readonly home: Home;
  /** Bytes of memory that this host has to give; what the kernel says when left out. */
  readonly memoryToGive?: () => Promise<number>;
  /** Folders in which the files that a machine names must lie; anywhere when left out. */
  readonly files?: readonly string[] | undefined;
  readonly signal?: AbortSignal;
  readonly onPhase?: (phase: DestinationPhase, machine: string) => void;
}

/** How it ended for this host. */
export interface DestinationResult {
  readonly machine: string;
  readonly migrationId: string;
  readonly phase: DestinationPhase;
  readonly error: TrmigError | null;
  /** Its replay differed, and the source has begun anew on the same connection. */
  readonly next: OfferFrame | null;
}

const isLast = (phase: DestinationPhase): boolean => ['live', 'declined', 'discarded', 'unresolved'].includes(phase.at);

const streamName = 'log';
const nsPerMs = 1e6;
/** The host's monotonic clock, as the tracer's. */
const nowNs = (): number => Number(process.hrtime.bigint());

/** Takes one offered machine over `link`, which it closes unless another offer follows. Never rejects: the result says how it ended. */
export async function receiveMachine(
  link: Link,
  offer: OfferFrame,
  options: DestinationOptions,
): Promise<DestinationResult> {
  const run = new DestinationRun(link, offer, options);
  return run.conduct();
}

class DestinationRun {
  readonly #session: Session<DestinationPhase, DestinationEvent, DestinationEffect>;
  readonly #window = new LogWindow();
  readonly #feed = new LogFeed(this.#window);
  /** Ends what runs beside the effects when the session is over. */
  readonly #over = new AbortController();
  #arriving: ArrivingMachine | null = null;
  #checkpoint: CheckpointFrame | null = null;
  #base: BaseRestore | null = null;
  #imageWhole = false;
  #final: (FinalState & { virtualNs: number; tailNs: number; digestNs: number }) | null = null;
  #live = { virtualNs: 0, journalNs: 0, flipNs: 0, startNs: 0, totalNs: 0 };
  #committedNs = 0;
  #frozen: FrozenImage | null = null;
  #verifying: Promise<void> | null = null;
  #next: OfferFrame | null = null;
  #reading: Promise<void> | null = null;

  constructor(
    readonly link: Link,
    readonly offer: OfferFrame,
    readonly options: DestinationOptions,
  ) {
    this.#session = new Session<DestinationPhase, DestinationEvent, DestinationEffect>({
      initial: { at: 'offered' },
      next: nextDestination,
      perform: (effect) => this.#perform(effect),
      failed: (error) => ({ type: 'failed', error }),
      isLast,
      onPhase: (phase) => {
        link.patience(destinationPatienceMs[phase.at]);
        options.onPhase?.(phase, offer.machine);
      },
    });
  }

  async conduct(): Promise<DestinationResult> {
    const onAbort = (): void => {
      this.#session.dispatch({ type: 'cancel', error: { code: 'E_ABORTED', message: 'the receiver was stopped' } });
    };
    this.options.signal?.addEventListener('abort', onAbort, { once: true });
    this.#reading = this.#read();
    this.#session.begin([{ do: 'admit' }]);
    const phase = await this.#session.ended;
    await this.#verifying?.catch(() => undefined);
    // The source closes last: it still wants to say retired, and to have our digest.
    if (phase.at === 'live')
      await Promise.race([this.link.closed, new Promise((done) => setTimeout(done, 5_000).unref())]);
    if (phase.at === 'live') await this.#arriving!.settle();
    this.options.signal?.removeEventListener('abort', onAbort);
    this.#over.abort();
    this.#feed.end();
    await this.#arriving?.close();
    const { machine, migrationId } = this.offer;
    if (phase.at === 'discarded' && phase.error.code === 'E_DIVERGED') await this.#anotherOffer();
    if (this.#next === null) await this.link.close().catch(() => undefined);
    return { machine, migrationId, phase, error: this.#session.error, next: this.#next };
  }

  /** The source may begin anew; until it does, or closes, or this host has enough. */
  async #anotherOffer(): Promise<void> {
    const { signal } = this.options;
    if (signal?.aborted === true) return;
    const enough = new Promise<void>((resolve) => signal?.addEventListener('abort', () => resolve(), { once: true }));
    await Promise.race([this.#reading, enough]);
  }

  /** The peer's frames as events, until the link ends or another migration begins on it. */
  async #read(): Promise<void> {
    try {
      for await (const frame of this.link.frames()) {
        if (frame.kind === 'offer' && this.#session.phase.at === 'discarded') {
          this.#next = frame;
          return;
        }
        await this.#onFrame(frame);
      }
      this.#peerGone(new TrmigError('E_PEER_GONE', 'the source closed the connection'));
    } catch (error) {
      this.#peerGone(asTrmigError(error));
    }
  }

  #peerGone(error: TrmigError): void {
    const before = this.#session.phase.at;
    if (
      this.#session.dispatch({ type: 'peerGone', error: failureOf(error) }) === null &&
      before !== this.#session.phase.at
    ) {
      this.#session.error ??= error;
    }
  }

  async #onFrame(frame: SessionFrame): Promise<void> {
    try {
      switch (frame.kind) {
        case 'checkpoint':
          this.#checkpoint = frame;
          return;
        case 'imageChunk': {
          await this.#base!.take(frame);
          return;
        }
        case 'imageEnd': {
          await this.#endImage(frame.chunks);
          return;
        }
        case 'layerBegin':
          await this.#arriving!.disks.begin(frame);
          return;
        case 'layerChunk':
          await this.#arriving!.disks.take(frame);
          return;
        case 'layerEnd':
          await this.#arriving!.disks.end(frame);
          await this.#restoreIfWhole();
          return;
        case 'segment':
        case 'log': {
          this.#feed.take(frame);
          return;
        }
        case 'commit':
          this.#committedNs = nowNs();
          this.#arriving!.journal.epoch = frame.epoch;
          this.#session.dispatch({ type: 'commit' });
          return;
        case 'answer':
          if (frame.holder === 'destination') this.#arriving!.journal.epoch = frame.epoch;
          this.#session.dispatch({ type: 'answer', holder: frame.holder });
          return;
        case 'retired':
          this.#session.dispatch({ type: 'retired' });
          return;
        case 'abort':
          this.#session.dispatch({ type: 'peerAborted', error: { code: frame.code, message: frame.message } });
          return;
        default:
          throw new TrmigError('E_WIRE_GARBAGE', `a destination has no use for a frame '${frame.kind}'`);
      }
    } catch (error) {
      this.#session.fail(error);
    }
  }

  async #perform(effect: DestinationEffect): Promise<void> {
    switch (effect.do) {
      case 'admit':
        return this.#admit();
      case 'launch':
        return this.#launch();
      case 'sendAccept':
        return this.link.send({
          kind: 'accept',
          migrationId: this.offer.migrationId,
          have: this.#arriving!.disks.have,
        });
      case 'sendRefuse':
        return this.#tell({ kind: 'refuse', ...this.#refusal(effect.error) });
      case 'restore':
        this.#base = new BaseRestore(this.#arriving!.target, this.#over.signal);
        return;
      case 'play':
        return this.#play();
      case 'journal':
        return this.#writeJournal(effect.state);
      case 'sendReady':
        return this.#sendReady();
      case 'ask':
        return this.#ask();
      case 'goLive':
        return this.#goLive();
      case 'sendLive':
        return this.#sendLive();
      case 'sendAbort':
        return this.#sendAbort(effect.error);
      case 'sendDeclined':
        return this.#tell({ kind: 'declined', migrationId: this.offer.migrationId, reason: effect.error.message });
      case 'discard':
        return this.#discard();
      case 'close':
        return;
    }
  }

  /** Best effort: the link may be gone. */
  async #tell(frame: SessionFrame): Promise<void> {
    await this.link.send(frame).catch(() => undefined);
  }

  #sendAbort(error: Failure): Promise<void> {
    const { migrationId } = this.offer;
    const divergence = error.code === 'E_DIVERGED' ? divergenceOf(this.#session.error) : null;
    return this.#tell({ kind: 'abort', ...error, migrationId, ...(divergence && { divergence }) });
  }

  #refusal(error: { code: string; message: string }): { code: string; message: string; hint: string } {
    const whole = this.#session.error;
    return { ...error, hint: whole?.code === error.code ? whole.hint : '' };
  }

  async #admit(): Promise<void> {
    try {
      const { home, memoryToGive, files, signal } = this.options;
      const options = { home, memoryToGive, files, signal };
      this.#arriving = await ArrivingMachine.admit(this.offer, this.link.name, options);
      this.#session.dispatch({ type: 'admitted' });
    } catch (error) {
      this.#session.error ??= asTrmigError(error);
      this.#session.dispatch({ type: 'refused', error: failureOf(error) });
    }
  }

  async #launch(): Promise<void> {
    await this.#arriving!.launch();
    this.#machine.tracer.onClose((reason) => {
      if (!this.#over.signal.aborted) this.#machineGone(reason);
    });
    this.#session.dispatch({ type: 'launched' });
  }

  get #machine(): Machine {
    return this.#arriving!.machine;
  }

  #machineGone(reason: TrmigError): void {
    if (this.#session.phase.at === 'replaying') return; // Whoever watches the replay looks at what it has said.
    this.#session.error ??= new TrmigError('E_MACHINE_GONE', `the destination's QEMU is gone: ${reason.message}`);
    this.#session.dispatch({ type: 'machineGone', error: failureOf(this.#session.error) });
  }

  async #endImage(chunks: number): Promise<void> {
    await this.#base!.end(chunks);
    this.#imageWhole = true;
    await this.#restoreIfWhole();
  }

  /** RAM and disks may end in either order. */
  async #restoreIfWhole(): Promise<void> {
    const { disks } = this.#arriving!;
    if (!this.#imageWhole || !disks.whole) return;
    await disks.attach(this.#machine);
    if (this.#checkpoint === null) throw new TrmigError('E_WIRE_GARBAGE', 'the base image came without its checkpoint');
    const { shift, deviceState } = this.#checkpoint;
    await this.#machine.tracer.restore({ shift, deviceState });
    this.#session.dispatch({ type: 'restored' });
  }

  async #play(): Promise<void> {
    const { tracer } = this.#machine;
    await this.#arriving!.makeReady();
    rehearseHandover();
    const stream = await tracer.openStream(streamName);
    void this.#watch();
    await tracer.play({ stream: streamName });
    this.#feed.begin(stream, (error) => this.#session.fail(error));
  }

  async #watch(): Promise<void> {
    try {
      const reached = await watchReplay(this.#machine, {
        window: this.#window,
        signal: this.#over.signal,
        tell: (frame) => this.#tell({ ...frame, restoredBytes: this.#base?.restoredBytes ?? 0 }),
      });
      this.#onReached(reached);
    } catch (error) {
      if (!this.#over.signal.aborted) this.#session.fail(error);
    }
  }

  #onReached({ icount, registers, devices, virtualNs, digestNs }: TracerEventData<'reached'>): void {
    const sinceFinalNs = Math.round((performance.now() - (this.#feed.finalAtMs ?? performance.now())) * nsPerMs);
    this.#final = { icount, registers, devices, virtualNs, digestNs, tailNs: Math.max(0, sinceFinalNs - digestNs) };
    this.#session.dispatch({ type: 'reached', final: { icount, registers, devices } });
  }

  #sendReady(): Promise<void> {
    return this.link.send({ kind: 'ready', ...this.#final! });
  }

  async #writeJournal(state: DestinationRecordState): Promise<void> {
    const entry = { role: 'destination', state } as const;
    if (state !== 'owner' && state !== 'declined') return this.#arriving!.journal.record(entry);
    const begunNs = nowNs();
    const event = await this.#arriving!.journal.recordAwaited(entry);
    if (state === 'owner') this.#live.journalNs = nowNs() - begunNs;
    this.#session.dispatch(event);
  }

  /** The link is gone and so is the way to ask: a person or a restarted source decides. */
  async #ask(): Promise<void> {
    await new Promise((done) => setTimeout(done, 1_000));
    await this.link.send({ kind: 'query', migrationId: this.offer.migrationId }).catch((error: unknown) => {
      this.#session.error ??= asTrmigError(error);
    });
  }

  async #goLive(): Promise<void> {
    const { tracer } = this.#machine;
    const begunNs = nowNs();
    await this.#arriving!.freezeDisks();
    const { hostNs, virtualNs, pauses, frozen } = await tracer.live({ freeze: this.offer.verify });
    this.#arriving!.announce();
    this.#frozen = frozen ?? null;
    this.#live = {
      virtualNs,
      journalNs: this.#live.journalNs,
      flipNs: pauses.flipNs,
      startNs: Math.max(0, hostNs - begunNs - pauses.flipNs),
      totalNs: Math.max(0, hostNs - this.#committedNs),
    };
    this.#session.dispatch({ type: 'running' });
  }

  async #sendLive(): Promise<void> {
    await this.#tell({ kind: 'live', ...this.#live });
    if (this.#frozen !== null) {
      const frozen = this.#frozen;
      this.#frozen = null;
      // The guest runs already.
      const digests = this.#arriving!.digestFrozen(frozen);
      this.#verifying = digests.then((found) => this.link.send({ kind: 'verify', ...found }));
    }
  }

  async #discard(): Promise<void> {
    this.#over.abort();
    this.#feed.end();
    await this.#base?.settled();
    await this.#arriving?.discard();
  }
}
