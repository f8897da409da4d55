// What the source measures while it migrates: for convergence now, for the report later. Running numbers live here; what a
// finished migration looks like is report.ts's type, built once at the end.
// Invariant: nothing here waits or decides.

import { hostname } from 'node:os';
import type { TrmigError } from '../errors.js';
import { samplesMax, sampleMs } from '../limits.js';
import type { Segment } from '../log/index.js';
import type { ArmCheckpointReply, FinishReply, MachineSpec, TracerStatus } from '../machine/index.js';
import type { LiveFrame, ProgressFrame, ReadyFrame } from '../wire/frames.js';
import type { Link } from '../wire/link.js';
import { totalBytes } from '../wire/meter.js';
import type { ConvergenceSample, Verdict } from './convergence.js';
import type { Armed } from './depart.js';
import { measureDowntime, type MeasuredDowntime } from './downtime.js';
import { GuestSpeed } from './guest-speed.js';
import type { Comparison, MigrationReport, Outcome, ReportDivergence, ReportPause, ReportSample } from './report.js';
import type { SourcePhase } from './source-states.js';
import { version } from '../version.js';

/** What a person watching wants to see. */
export interface SourceProgress {
  readonly phase: SourcePhase['at'];
  readonly atMs: number;
  readonly base: { readonly scannedBytes: number; readonly totalBytes: number };
  readonly sentBytes: number;
  readonly logBytes: number;
  /** For how long the link has been without a connection; null while it has one. */
  readonly linkBrokenForMs: number | null;
  readonly sample: ReportSample | null;
}

const nsPerMs = 1e6;
const hostMs = (): number => Number(process.hrtime.bigint()) / nsPerMs;
/** Weight of the newest measurement. */
const smoothing = 0.2;
const smooth = (old: number, now: number): number => (old === 0 ? now : old + smoothing * (now - old));
/** Journal writes and going live are predicted by these until they have been measured. */
const journalMsGuess = 3;
const liveMsGuess = 1;
const freezeMsGuess = 3;
/** Instructions in flight that do not count as lag: a few slices. */
const caughtUpSegments = 2;
/** A guest that executes less is idle, whatever the pace: it is replayed by its events. */
const busyPerSecond = 10e6;
/** Recorded time in flight that does not count as lag. */
const pipelineLogMs = 40;

export class SourceMetrics {
  qemu = '';
  ram: Comparison = 'skipped';
  disks: Comparison = 'skipped';
  /** What a journal record takes at best; 0 before the first. Predicts those inside the handover. */
  journalMs = 0;
  /** After the arming: the tracer's own list of pauses. */
  status: TracerStatus | null = null;

  /** Of this migration and those before it on the same connection, with the times since the first one's start. */
  readonly divergences: ReportDivergence[] = [];
  #begunMs = hostMs();
  #startedAt = new Date().toISOString();
  readonly #phases: { phase: string; atMs: number }[] = [];
  readonly #samples: ReportSample[] = [];
  #phase: SourcePhase['at'] = 'connecting';
  #base = { scannedBytes: 0, totalBytes: 0 };
  #baseMs = 0;
  #bytesAtBase = 0;
  #arm: ArmCheckpointReply | null = null;
  #armedMs = 0;
  /** Before the arming, under icount. */
  #normalPerSecond = 0;
  readonly #guestSpeed = new GuestSpeed();
  #last: Segment | null = null;
  #cuts: { seq: number; hostNs: number }[] = [];
  #log = { rawBytes: 0, events: 0, segments: 0 };
  #progress: { frame: ProgressFrame; atMs: number } | null = null;
  /** When the replay was seen to come further, or could begin. */
  #movedMs = 0;
  #sourcePerSecond = 0;
  #replayPerSecond = 0;
  #latencyMs = 0;
  /** Recorded time replayed per host time, while there was much to replay. */
  #logSpeed = 1;
  #pace = { now: 0, max: 0, weighted: 0, sinceMs: 0, fromMs: 0 };
  #verdict: Verdict | null = null;
  #closeSinceMs = 0;
  #rate = { atMs: 0, sent: 0, log: 0 };
  #finished: FinishReply | null = null;
  #ready: { frame: ReadyFrame; atMs: number } | null = null;
  #committedMs = 0;
  #live: { frame: LiveFrame; atMs: number } | null = null;

  constructor(
    readonly migrationId: string,
    readonly link: Link,
    readonly spec: MachineSpec,
    readonly verify: boolean,
  ) {}

  /** Of the migration that follows this one on the same connection: what is timed and listed goes on. */
  again(migrationId: string): SourceMetrics {
    const next = new SourceMetrics(migrationId, this.link, this.spec, this.verify);
    next.#begunMs = this.#begunMs;
    next.#startedAt = this.#startedAt;
    next.#phases.push(...this.#phases);
    next.divergences.push(...this.divergences);
    return next;
  }

  get atMs(): number {
    return hostMs() - this.#begunMs;
  }

  phase(at: SourcePhase['at']): void {
    this.#phase = at;
    this.#phases.push({ phase: at, atMs: this.atMs });
  }

  armed({ reply, normalPerSecond, pace }: Pick<Armed, 'reply' | 'normalPerSecond' | 'pace'>): void {
    this.#arm = reply;
    this.#normalPerSecond = normalPerSecond;
    this.#armedMs = this.#pace.sinceMs = this.#pace.fromMs = hostMs();
    this.paced(pace);
    if (pace > 0) this.#sourcePerSecond = normalPerSecond;
    this.#guestSpeed.reached({ hostMs: this.#armedMs, instructions: 0 });
  }

  base(at: { scannedBytes: number; totalBytes: number }): void {
    this.#base = at;
  }

  baseSent(): void {
    this.#baseMs = this.atMs;
    this.#movedMs = hostMs();
    this.#bytesAtBase = totalBytes(this.link.bytes.sent);
  }

  segment(segment: Segment): void {
    const last = this.#last;
    this.#last = segment;
    this.#log.rawBytes += segment.payload.length;
    this.#log.events += segment.events;
    this.#log.segments++;
    this.#cuts.push({ seq: segment.seq, hostNs: segment.hostNs });
    this.#guestSpeed.reached({ hostMs: segment.hostNs / nsPerMs, instructions: segment.to });
    if (last === null || segment.hostNs <= last.hostNs) return;
    const perSecond = ((segment.to - last.to) * 1e9) / (segment.hostNs - last.hostNs);
    // While the source is paced its own speed does not show: it is at most what it was known to be, or does now.
    const unpaced = perSecond / (1 - this.#pace.now);
    this.#sourcePerSecond = smooth(
      this.#sourcePerSecond,
      Math.min(unpaced, Math.max(perSecond, this.#sourcePerSecond || unpaced)),
    );
  }

  progress(frame: ProgressFrame): void {
    const atMs = hostMs();
    const before = this.#progress;
    if (before !== null && this.#lagLogMs() > pipelineLogMs && atMs > before.atMs) {
      const speed = (frame.hostNs - before.frame.hostNs) / nsPerMs / (atMs - before.atMs);
      this.#logSpeed = smooth(this.#logSpeed, speed);
    }
    if (frame.replaySpeed > 0) this.#replayPerSecond = smooth(this.#replayPerSecond, frame.replaySpeed);
    if (before === null || frame.icount > before.frame.icount || frame.seq > before.frame.seq) this.#movedMs = atMs;
    this.#progress = { frame, atMs };
    while (this.#cuts.length > 1 && this.#cuts[0]!.seq < frame.seq) this.#cuts.shift();
    const cut = this.#cuts[0];
    if (cut?.seq === frame.seq && this.#behindSegments() <= caughtUpSegments) {
      this.#latencyMs = smooth(this.#latencyMs, atMs - cut.hostNs / nsPerMs);
    }
  }

  /** How much recorded time is not replayed yet. */
  #lagLogMs(): number {
    if (this.#last === null || this.#behindSegments() <= 0) return 0;
    const playedNs = this.#progress?.frame.hostNs ?? this.#armedMs * nsPerMs;
    const lagMs = Math.max(0, (this.#last.hostNs - playedNs) / nsPerMs);
    // A paced guest sleeps through most of its recorded time; a replay does not.
    return this.#sourcePerSecond > busyPerSecond ? lagMs * (1 - this.#pace.now) : lagMs;
  }

  #behindSegments(): number {
    return (this.#last?.seq ?? 0) - (this.#progress?.frame.seq ?? -1);
  }

  /** For how long the replay has not come any further, though there is log to replay. */
  get standstillMs(): number {
    return this.#behindSegments() > 0 ? hostMs() - this.#movedMs : 0;
  }

  /** For convergence. */
  sample(): ConvergenceSample {
    const nowMs = hostMs();
    const sourceAgeS = this.#last === null ? 0 : Math.max(0, nowMs - this.#last.hostNs / nsPerMs) / 1000;
    const [sent, played] = [this.#last?.to ?? 0, this.#progress?.frame.icount ?? 0];
    const replayAgeS = this.#progress === null ? 0 : (nowMs - this.#progress.atMs) / 1000;
    const behind = this.#behindSegments();
    const lagLogMs = this.#lagLogMs();
    const { rttMs } = this.link.rates;
    const pauses = this.#arm?.pauses;
    return {
      atMs: this.atMs,
      baseMs: this.#baseMs,
      // An idle guest executes nothing while no segment is cut; a busy one cuts every few ms.
      sourceIcount: sent + this.#sourcePerSecond * (1 - this.#pace.now) * Math.min(sourceAgeS, 0.05),
      destinationIcount: Math.min(sent, played + this.#replayPerSecond * replayAgeS),
      caughtUp: behind <= caughtUpSegments && lagLogMs <= pipelineLogMs,
      lagLogMs: lagLogMs <= pipelineLogMs ? 0 : lagLogMs,
      logSpeed: this.#logSpeed,
      closeForMs: this.#closeSinceMs === 0 ? 0 : nowMs - this.#closeSinceMs,
      sourcePerSecond: this.#sourcePerSecond,
      replayPerSecond: this.#replayPerSecond,
      latencyMs: this.#latencyMs,
      pace: this.#pace.now,
      rttMs: rttMs ?? 1,
      fixedMs: {
        stopMs: ((pauses?.stopNs ?? 0) + (pauses?.quiesceNs ?? 0)) / nsPerMs + 0.3,
        digestMs: (pauses?.stateNs ?? 0) / nsPerMs,
        journalMs: 2 * (this.journalMs || journalMsGuess),
        liveMs: liveMsGuess + (this.verify ? (pauses?.freezeNs ?? freezeMsGuess * nsPerMs) / nsPerMs : 0),
      },
    };
  }

  /** What the downtime was to be, when it was last judged. */
  get predictedMs(): number {
    return this.#verdict?.predictedDowntimeMs ?? 0;
  }

  judged(verdict: Verdict): void {
    this.#verdict = verdict;
    // A replay that nobody hears of may well go on.
    if (this.link.outages.brokenForMs !== null) this.#movedMs = hostMs();
    if (!verdict.close) this.#closeSinceMs = 0;
    else if (this.#closeSinceMs === 0) this.#closeSinceMs = hostMs();
    const atMs = this.atMs;
    if (atMs - (this.#samples.at(-1)?.atMs ?? -Infinity) < sampleMs || this.#samples.length >= samplesMax) return;
    this.#samples.push(this.#reportSample());
  }

  get pace(): number {
    return this.#pace.now;
  }

  /** The pace that is in force from now on. */
  paced(pace: number): void {
    const nowMs = hostMs();
    if (this.#pace.sinceMs > 0) this.#pace.weighted += this.#pace.now * (nowMs - this.#pace.sinceMs);
    this.#pace = { ...this.#pace, now: pace, max: Math.max(this.#pace.max, pace), sinceMs: nowMs };
  }

  #reportSample(): ReportSample {
    const nowMs = hostMs();
    const sent = this.link.bytes.sent;
    const seconds = Math.max(0.001, (nowMs - this.#rate.atMs) / 1000);
    const total = totalBytes(sent);
    const first = this.#rate.atMs === 0;
    const perSecond = (now: number, before: number): number => (first ? 0 : Math.round((now - before) / seconds));
    const [logBytesPerSecond, linkBytesPerSecond] = [
      perSecond(sent.log, this.#rate.log),
      perSecond(total, this.#rate.sent),
    ];
    this.#rate = { atMs: nowMs, sent: total, log: sent.log };
    const at = this.sample();
    return {
      atMs: this.atMs,
      phase: this.#phase,
      sourceIcount: Math.round(at.sourceIcount),
      destinationIcount: Math.round(at.destinationIcount),
      lagInstructions: Math.round(this.#verdict?.lagInstructions ?? at.sourceIcount - at.destinationIcount),
      lagMs: this.#verdict?.terms.replayMs ?? 0,
      logBytesPerSecond,
      linkBytesPerSecond,
      replayPerSecond: Math.round(this.#replayPerSecond),
      sourcePerSecond: Math.round(this.#sourcePerSecond),
      guestSpeed: this.#normalPerSecond > busyPerSecond ? this.#guestSpeed.perSecond / this.#normalPerSecond : 0,
      replaySpeed: this.#sourcePerSecond > 0 ? this.#replayPerSecond / this.#sourcePerSecond : 0,
      pace: this.#pace.now,
      predictedDowntimeMs: this.predictedMs,
    };
  }

  /** Called by a clock while nothing is judged yet. */
  tick(): SourceProgress {
    if (this.#phase === 'shipping' && this.atMs - (this.#samples.at(-1)?.atMs ?? -Infinity) >= sampleMs) {
      this.#samples.push(this.#reportSample());
    }
    const { sent } = this.link.bytes;
    return {
      phase: this.#phase,
      atMs: this.atMs,
      base: this.#base,
      sentBytes: totalBytes(sent),
      logBytes: sent.log,
      linkBrokenForMs: this.link.outages.brokenForMs,
      sample: this.#samples.at(-1) ?? null,
    };
  }

  stopping(): void {
    this.paced(this.#pace.now);
  }

  finished(reply: FinishReply): void {
    this.#finished = reply;
  }

  ready(frame: ReadyFrame): void {
    this.#ready = { frame, atMs: hostMs() };
  }

  committed(): void {
    this.#committedMs = hostMs();
  }

  live(frame: LiveFrame): void {
    this.#live ??= { frame, atMs: hostMs() };
  }

  #downtime(): MeasuredDowntime | null {
    if (this.#live === null || this.#ready === null || this.#finished === null) return null;
    const [live, ready, finished, committedMs] = [this.#live, this.#ready, this.#finished, this.#committedMs];
    return measureDowntime({ live, ready, finished, committedMs });
  }

  #pauses(): ReportPause[] {
    if (this.#arm === null) return [];
    return (this.status?.pauses ?? [])
      .filter(({ hostNs }) => hostNs / nsPerMs >= this.#begunMs)
      .map(({ what, ns, hostNs }) => ({ what, ms: ns / nsPerMs, atMs: hostNs / nsPerMs - this.#begunMs }));
  }

  report(phase: SourcePhase, error: TrmigError | null): MigrationReport {
    const { sent } = this.link.bytes;
    const { encrypted, bytesPerSecondMax } = this.link;
    const { reconnects, brokenMs } = this.link.outages;
    const downtime = phase.at === 'retired' ? this.#downtime() : null;
    const compared = this.#ready !== null && this.#finished !== null;
    const compare = (key: 'registers' | 'devices'): Comparison =>
      !compared ? 'skipped' : this.#ready!.frame[key] === this.#finished![key] ? 'equal' : 'different';
    const catchingUpMs = this.#pace.sinceMs - this.#pace.fromMs;
    const outcome: Outcome = phase.at === 'retired' ? 'completed' : phase.at === 'aborted' ? 'aborted' : 'failed';
    const { memoryBytes, smp: vcpus, arch, board } = this.spec;
    const guestMs = this.#finished && this.#arm ? (this.#finished.virtualNs - this.#arm.virtualNs) / nsPerMs : null;
    return {
      format: 1,
      strategy: 'trace',
      migrationId: this.migrationId,
      machine: this.spec.name,
      outcome,
      owner:
        phase.at === 'retired'
          ? 'destination'
          : outcome === 'failed' && phase.at !== 'failed'
            ? 'unresolved'
            : 'source',
      startedAt: this.#startedAt,
      downtimeMs: downtime?.downtimeMs ?? null,
      downtime: downtime?.terms ?? null,
      predictedDowntimeMs: this.#finished === null ? null : (this.#verdict?.predictedDowntimeMs ?? null),
      predicted: this.#finished === null ? null : { ...this.#verdict?.terms },
      totalMs: this.#live === null ? this.atMs : this.#live.atMs - this.#begunMs,
      phases: this.#phases,
      divergences: [...this.divergences],
      pauses: this.#pauses(),
      bytes: {
        ...sent,
        total: totalBytes(sent),
        afterBase: this.#bytesAtBase === 0 ? 0 : totalBytes(sent) - this.#bytesAtBase,
      },
      link: { encrypted, bytesPerSecondMax, reconnects, brokenMs },
      log: { ...this.#log, wireBytes: sent.log, instructions: this.#last?.to ?? 0 },
      digests: { ram: this.ram, disks: this.disks, devices: compare('devices'), registers: compare('registers') },
      pacing: {
        max: this.#pace.max,
        meanWhileCatchingUp: catchingUpMs > 0 ? this.#pace.weighted / catchingUpMs : 0,
        pacedMs: (this.status?.pacedNs ?? 0) / nsPerMs,
      },
      clock: {
        shift: this.#arm?.shift ?? null,
        behindMs: guestMs === null ? null : this.#finished!.hostNs / nsPerMs - this.#armedMs - guestMs,
      },
      samples: this.#samples,
      guest: { arch, board, memoryBytes, vcpus },
      qemu: this.qemu,
      host: { source: hostname(), destination: this.link.peer.host, trmig: version },
      error: error?.toJSON() ?? null,
    };
  }
}
