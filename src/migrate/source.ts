// The source of a migration: gives a running machine away by its log. The phases and what each event leads to stand in
// source-states.ts; here is what the effects do.
// Invariants: the guest runs here until its log's last segment is out; whatever fails before this host's journal says
// relinquished gives it back; every stop is under a lease, so that it is given back even if this process dies.

import { setTimeout as delay } from 'node:timers/promises';
import { TrmigError, asTrmigError } from '../errors.js';
import { handoverPatienceMs, handoverPatienceTimes, progressTickMs, stopLeaseMs } from '../limits.js';
import type { Segment, WireEncoder } from '../log/index.js';
import type { ArmCheckpointReply, Machine } from '../machine/index.js';
import type { SessionFrame, VerifyFrame } from '../wire/frames.js';
import type { Link } from '../wire/link.js';
import { converge } from './converge.js';
import type { ConvergencePolicy } from './convergence.js';
import type { SourceRecordState } from './journal.js';
import { sourcePatienceMs } from './link-patience.js';
import type { LogPump } from './log-pump.js';
import { DepartingDisks } from './departing-disks.js';
import { armForShipping, hasEnded, helloForOffer, makeOffer, shipBase, takeBack } from './depart.js';
import type { SourceMetrics, SourceProgress } from './metrics.js';
import { endedError, stoppedError } from './outside.js';
import type { MigrationReport, ReportDivergence } from './report.js';
import { encoderFor, segmentFrame } from './segment-frames.js';
import { SessionJournal } from './session-journal.js';
import { Session, errorOf, failureOf } from './session.js';
import { finalOf, isOfEarlier, peerError, sourceEventOf } from './source-frames.js';
import { nextSource, type SourceEffect, type SourceEvent, type SourcePhase, type Undo } from './source-states.js';
import { compareWithWitness } from './witness.js';

export interface SourceOptions {
  readonly verify: boolean;
  readonly signal?: AbortSignal;
  readonly policy: ConvergencePolicy;
  /** What follows a replay that differs from its log: a fresh checkpoint on the same connection (also when left out), or the end. */
  readonly onDivergence?: 'retry' | 'abort' | undefined;
  /** What the destination dials to ask this host's journal; '' and 0 when this host does not listen. */
  readonly listens?: { readonly host: string; readonly port: number };
  readonly onPhase?: (phase: SourcePhase) => void;
  readonly onProgress?: (progress: SourceProgress) => void;
  /** A replay has differed from its log: where, and what follows. */
  readonly onDiverged?: (divergence: ReportDivergence) => void;
}

export interface SourceResult {
  readonly phase: SourcePhase;
  readonly error: TrmigError | null;
  readonly report: MigrationReport;
}

/** From the end of a QEMU's log until its end is heard, at most. */
const endingMs = 100;
const isLast = (phase: SourcePhase): boolean => ['aborted', 'failed', 'retired', 'unresolved'].includes(phase.at);

/** One try to move `machine` over `link`. Whoever reads the link gives it the frames, and its end; the link stays open. */
export class SourceRun {
  readonly #session: Session<SourcePhase, SourceEvent, SourceEffect>;
  #encoder: WireEncoder | null = null;
  /** Ends what runs beside the effects. */
  readonly #over = new AbortController();
  #journal: SessionJournal | null = null;
  #pump: LogPump | null = null;
  #pumping: Promise<void> = Promise.resolve();
  /** Why QEMU says that it ends. */
  #cause: string | null = null;
  #armed: ArmCheckpointReply | null = null;
  #disks: DepartingDisks | null = null;
  /** Layers that the destination has already. */
  #have: readonly string[] = [];
  #thawed: Promise<void> | null = null;
  #renewing: NodeJS.Timeout | null = null;
  /** What the destination found; null: it cannot say any more. */
  #verified: { readonly resolve: (there: VerifyFrame | null) => void; readonly there: Promise<VerifyFrame | null> };

  constructor(
    readonly machine: Machine,
    readonly link: Link,
    readonly migrationId: string,
    readonly options: SourceOptions,
    readonly metrics: SourceMetrics,
  ) {
    let resolve: (there: VerifyFrame | null) => void = () => undefined;
    this.#verified = { there: new Promise((done) => (resolve = done)), resolve: (there) => resolve(there) };
    this.#session = new Session<SourcePhase, SourceEvent, SourceEffect>({
      initial: { at: 'connecting' },
      next: nextSource,
      perform: (effect) => this.#perform(effect),
      failed: (error) => ({ type: 'failed', error }),
      isLast,
      onPhase: (phase) => {
        link.patience(sourcePatienceMs[phase.at]);
        this.metrics.phase(phase.at);
        options.onPhase?.(phase);
      },
    });
  }

  /** Never rejects: the result says how it ended and who has the machine. */
  async conduct(): Promise<SourceResult> {
    const onAbort = (): void => {
      const error = { code: 'E_ABORTED', message: 'the migration was cancelled' };
      const refused = this.#session.dispatch({ type: 'cancel', error });
      if (refused === null) this.#session.error ??= new TrmigError('E_ABORTED', error.message);
    };
    this.options.signal?.addEventListener('abort', onAbort, { once: true });
    this.machine.tracer.onClose((reason) => this.#machineGone(reason));
    void this.#watch();
    try {
      await this.#openJournal();
      this.#session.dispatch({ type: 'connected' });
    } catch (error) {
      this.#session.fail(error);
    }
    if (this.options.signal?.aborted === true) onAbort();
    const ticking = setInterval(() => this.options.onProgress?.(this.metrics.tick()), progressTickMs);
    const phase = await this.#session.ended;
    clearInterval(ticking);
    this.options.signal?.removeEventListener('abort', onAbort);
    this.#over.abort();
    if (this.#renewing !== null) clearInterval(this.#renewing);
    await this.#thawed;
    this.#pump?.close();
    await this.#pumping;
    await this.#journal?.close();
    const error = phase.at === 'retired' ? null : this.#errorOf(phase);
    return { phase, error, report: this.metrics.report(phase, error) };
  }

  #errorOf(phase: SourcePhase): TrmigError {
    if (this.#session.error !== null) return this.#session.error;
    if (!('error' in phase)) return new TrmigError('E_INTERNAL', `the migration ended while ${phase.at}`);
    return errorOf(phase.error);
  }

  async #openJournal(): Promise<void> {
    const { mode, running } = await this.machine.tracer.status();
    const facts = { machine: this.machine.name, migrationId: this.migrationId, peer: this.link.name };
    this.#journal = await SessionJournal.open(this.machine.paths.ownership, facts, mode === 'dormant' && running);
  }

  #machineGone(reason: TrmigError): void {
    if (this.#over.signal.aborted) return;
    const error = endedError(this.machine.name, this.#cause, reason);
    if (this.#session.dispatch({ type: 'machineGone', error: failureOf(error) }) === null)
      this.#session.error ??= error;
  }

  /** The tracer's events that mean that the migration cannot go on. */
  async #watch(): Promise<void> {
    try {
      for await (const event of this.machine.tracer.events.stream({ signal: this.#over.signal })) {
        if (event.event === 'lost') throw new TrmigError('E_LOG_LOST', `the log was lost: ${event.data.reason}`);
        if (event.event === 'lease')
          throw new TrmigError('E_LEASE', "the stop's lease ran out: the guest goes on here");
        if (event.event === 'ended') this.#cause = event.data.cause;
        if (event.event === 'stopped' && this.#cause === null) throw stoppedError(this.machine.name, event.data.state);
      }
    } catch (error) {
      if (!this.#over.signal.aborted) this.#session.fail(error);
    }
  }

  /** The link has ended. */
  peerGone(error: TrmigError): void {
    this.#verified.resolve(null);
    const before = this.#session.phase.at;
    if (isLast(this.#session.phase)) return;
    this.#session.dispatch({ type: 'peerGone', error: failureOf(error) });
    if (this.#session.phase.at !== before) this.#session.error ??= error;
  }

  /** A frame of the destination. */
  onFrame(frame: SessionFrame): void {
    if (isOfEarlier(frame, this.migrationId, this.#session.phase.at === 'offering')) return;
    try {
      this.#note(frame);
      const event = sourceEventOf(frame);
      if (event !== null) this.#session.dispatch(event);
    } catch (error) {
      this.#session.fail(error);
    }
  }

  #note(frame: SessionFrame): void {
    switch (frame.kind) {
      case 'accept':
        this.#have = frame.have;
        return;
      case 'refuse':
      case 'abort':
        this.#session.error ??= peerError(frame, this.link.peer.host, this.machine.name);
        return;
      case 'progress':
        return this.metrics.progress(frame);
      case 'ready':
        return this.metrics.ready(frame);
      case 'live':
        return this.metrics.live(frame);
      case 'verify':
        return this.#verified.resolve(frame);
      default:
        return;
    }
  }

  async #perform(effect: SourceEffect): Promise<void> {
    const { tracer } = this.machine;
    switch (effect.do) {
      case 'sendOffer':
        return this.#sendOffer();
      case 'arm':
        return this.#arm();
      case 'ship':
        void this.#ship().catch((error: unknown) => this.#session.fail(error));
        return;
      case 'converge':
        void this.#converge().catch((error: unknown) => this.#session.fail(error));
        return;
      case 'finish': // Only what the journal has announced: else a power cut would leave it saying that nobody can have a copy.
        return this.#session.phase.at === 'draining' ? this.#finish() : undefined;
      case 'fence':
        await tracer.relinquish();
        if (this.#renewing !== null) clearInterval(this.#renewing);
        this.#session.dispatch({ type: 'fenced' });
        return;
      case 'journal':
        return this.#writeJournal(effect.state);
      case 'sendCommit':
        this.metrics.committed();
        return this.link.send({ kind: 'commit', migrationId: this.migrationId, epoch: this.#journal!.epoch });
      case 'redial': // This session has one connection: a later command goes on from the journal.
        this.#session.error ??= new TrmigError('E_PEER_GONE', 'the connection broke while the machine was given away');
        this.#session.stopHere();
        return;
      case 'sendAnswer':
        return this.#answer(effect.holder);
      case 'sendAbort':
        return this.#tell({ kind: 'abort', ...effect.error, migrationId: this.migrationId });
      case 'sendRetired':
        return this.#tell({ kind: 'retired', migrationId: this.migrationId });
      case 'giveBack':
        return this.#giveBack(effect.undo);
      case 'retire':
        return this.#retire();
      case 'close':
        return;
    }
  }

  #answer(holder: 'source' | 'destination'): Promise<void> {
    return this.#tell({ kind: 'answer', migrationId: this.migrationId, holder, epoch: this.#journal!.epoch });
  }

  /** Best effort: the link may be gone. */
  async #tell(frame: SessionFrame): Promise<void> {
    await this.link.send(frame).catch(() => undefined);
  }

  async #sendOffer(): Promise<void> {
    const hello = await helloForOffer(this.machine);
    this.metrics.qemu = hello.qemu;
    const { verify, listens } = this.options;
    this.#disks = await DepartingDisks.open(this.machine, this.#over.signal);
    const common = { migrationId: this.migrationId, epoch: this.#journal!.epoch, disks: this.#disks.offer };
    await this.link.send(makeOffer(this.machine.spec, hello, { ...common, verify, listens }));
  }

  async #arm(): Promise<void> {
    const armed = await armForShipping(this.machine, this.#disks!, this.options.policy.maxPace);
    this.#pump = armed.pump;
    this.#armed = armed.reply;
    this.metrics.armed(armed);
    this.#session.dispatch({ type: 'armed' });
  }

  async #ship(): Promise<void> {
    const { shift, virtualNs, deviceState, frozen } = this.#armed!;
    const signal = this.#over.signal;
    try {
      await this.link.send({ kind: 'checkpoint', shift, virtualNs, hostNs: 0, deviceState }, { signal });
      const { timeoutMs } = this.options.policy;
      const late = new TrmigError('E_NOT_CONVERGED', `the base image did not arrive within ${timeoutMs} ms`);
      this.#giveUpAfter(timeoutMs - this.metrics.atMs, ['shipping'], late);
      this.#pumping = this.#pump!.run((segment) => this.#sendSegment(segment)).catch(async (error: unknown) => {
        // A QEMU that ends takes its log along: that it has ended is what there is to tell, and may be heard after this.
        const isLost = asTrmigError(error).code === 'E_LOG_LOST';
        if (isLost && !this.#over.signal.aborted) await delay(endingMs);
        const isEnding = this.#cause !== null || this.machine.tracer.closedBy !== null;
        if (!this.#over.signal.aborted && !isEnding) this.#session.fail(error);
      });
      const disks = this.#disks!.ship(this.link, this.#have, signal);
      disks.catch(() => undefined); // Reported below, after the base.
      await shipBase(this.link, frozen, { signal, onProgress: (at) => this.metrics.base(at) });
      this.#thaw();
      await disks;
    } finally {
      this.#thaw();
    }
    this.metrics.baseSent();
    this.#session.dispatch({ type: 'baseSent' });
  }

  /** A peer that lives but stands still must not hold the migration in `phases` for longer than `ms`. */
  #giveUpAfter(ms: number, phases: readonly SourcePhase['at'][], why: TrmigError): void {
    const isLate = (): boolean => phases.includes(this.#session.phase.at);
    const late = setTimeout(() => isLate() && this.#session.fail(why), Math.max(0, ms));
    this.#over.signal.addEventListener('abort', () => clearTimeout(late), { once: true });
  }

  #thaw(): void {
    this.#thawed ??= this.machine.tracer.thaw(this.#armed!.frozen.pid).catch(() => undefined);
  }

  async #sendSegment(segment: Segment): Promise<void> {
    this.#encoder ??= encoderFor(this.link);
    await this.link.send(segmentFrame(this.#encoder, segment));
    this.metrics.segment(segment);
  }

  async #converge(): Promise<void> {
    const handover = await converge({
      tracer: this.machine.tracer,
      journal: this.#journal!,
      metrics: this.metrics,
      policy: this.options.policy,
      goesOn: () => this.#session.phase.at === 'catching-up',
    });
    if (handover) this.#session.dispatch({ type: 'handover' });
  }

  async #finish(): Promise<void> {
    const { tracer } = this.machine;
    await this.#disks!.presync();
    this.metrics.status = await tracer.status();
    this.metrics.stopping();
    const patienceMs = handoverPatienceMs + handoverPatienceTimes * this.metrics.predictedMs;
    const waited = `${Math.round(patienceMs)} ms after the guest was stopped`;
    const stalled = new TrmigError('E_STALLED', `the destination had not replayed the log's end ${waited}`);
    this.#giveUpAfter(patienceMs, ['draining', 'awaiting-ready'], stalled);
    const finished = await tracer.finish(stopLeaseMs);
    this.metrics.finished(finished);
    this.#renewing = setInterval(() => {
      tracer.renew(stopLeaseMs).catch(() => undefined);
    }, stopLeaseMs / 3);
    this.#session.dispatch({ type: 'drained', final: finalOf(finished) });
  }

  async #writeJournal(state: SourceRecordState): Promise<void> {
    const entry = { role: 'source', state } as const;
    if (state !== 'relinquished' && state !== 'reclaimed') return this.#journal!.record(entry);
    this.#session.dispatch(await this.#journal!.recordAwaited(entry));
  }

  async #giveBack(undo: Undo): Promise<void> {
    this.#over.abort();
    if (this.#renewing !== null) clearInterval(this.#renewing);
    if (this.#armed !== null) {
      this.#thaw();
      try {
        await takeBack(this.machine, undo);
        this.metrics.status = await this.machine.tracer.status();
        await this.#disks?.stays().catch(() => undefined); // The chain stays longer, until the next time.
      } catch (error) {
        this.#session.error ??= asTrmigError(error);
        // One that was not stopped yet, and has ended here, is nobody else's: there is nothing to give back.
        if (undo !== 'disarm' || !(await hasEnded(this.machine)))
          this.#session.dispatch({ type: 'machineGone', error: failureOf(error) });
      }
    }
    this.#session.dispatch({ type: 'returned' });
  }

  async #retire(): Promise<void> {
    if (this.options.verify) {
      const found = await compareWithWitness(this.machine, this.#disks!, this.#verified.there);
      this.metrics.ram = found.ram;
      this.metrics.disks = found.disks;
    }
    this.#over.abort();
    await this.machine.stop({ graceful: false });
    await this.#disks!.left({ topsToo: this.metrics.disks === 'equal' });
  }
}
