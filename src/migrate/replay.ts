// Replays a recording in a QEMU of its own: base and device state restored, the log played up to a position or to its end;
// then it is looked at, left standing there, or goes live.
// Invariants: the replayed guest never runs beyond the log unless it goes live, which `live` decides before anything is
// started (take-over.ts); a replay that fails, or is not kept, leaves no QEMU and no machine behind.

import { readFile } from 'node:fs/promises';
import { TrmigError, asTrmigError } from '../errors.js';
import { ImageReader, checkSameBlocks, restoreImage } from '../checkpoint/index.js';
import { progressTickMs } from '../limits.js';
import { RecordingReader, type RecordingManifest } from '../log/index.js';
import { Machine, checkName, type Home, type MachineSpec, type TracerEvent } from '../machine/index.js';
import { announce } from './announce.js';
import { beginContinuation, type Continuation, type ContinueOptions, type RecordedLeg } from './continuation.js';
import { locate, type LogPosition } from './log-position.js';
import { recordedBase, recordedSpec } from './recorded-base.js';
import { RecordedDisks } from './recorded-disks.js';
import { ReplayFeed } from './replay-feed.js';
import { beginTakeOver, type LiveKind, type TakeOver } from './take-over.js';

export interface ReplayOptions {
  readonly home: Home;
  /** The machine's name for the replay; `<machine>-replay` when left out, or as `live` has it. */
  readonly name?: string;
  /** Where to stop; the log's end when left out. */
  readonly until?: LogPosition;
  /** Wait for more while the recording grows. */
  readonly follow?: boolean;
  /** At the log's end the guest runs on: the machine itself (`take-over`), or as a new machine (`fork`). */
  readonly live?: LiveKind;
  /** Leave the machine standing where the replay ended. */
  readonly keep?: boolean;
  /** Digest all of RAM too. */
  readonly verify?: boolean;
  /** A machine that is taken over is recorded on, into the same recording. */
  readonly record?: ContinueOptions;
  /** It has gone live, and `record` begins. */
  readonly onLive?: (result: ReplayResult) => void;
  /** Cancels the replay; when it has gone live, it ends `record` in order. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: ReplayProgress) => void;
}

export interface ReplayProgress {
  readonly phase: 'base' | 'replay';
  readonly baseChunks: number;
  readonly baseChunksTotal: number;
  readonly icount: number;
  readonly endIcount: number | null;
  /** The guest's clock since the checkpoint. */
  readonly guestMs: number;
  readonly elapsedMs: number;
}

export interface ReplayResult {
  readonly machine: string;
  /** ended: QEMU is gone; stopped: it stands there; live: it runs. */
  readonly state: 'ended' | 'stopped' | 'live';
  readonly uuid: string;
  readonly icount: number;
  readonly guestMs: number;
  /** Whether this is the log's end. */
  readonly final: boolean;
  readonly digests: { readonly registers: string; readonly devices: string; readonly ram: string | null };
  readonly segments: number;
  readonly events: number;
  readonly restoreMs: number;
  readonly replayMs: number;
  /** What recording the same took. */
  readonly recordedMs: number;
  /** recordedMs ÷ replayMs */
  readonly speed: number;
  /** The flip to live, measured in the tracer; null when it did not go live. */
  readonly liveMs: number | null;
  /** What `record` has added; null without it, and before it has ended. */
  readonly recorded: RecordedLeg | null;
}

/**
 * Replays the recording in `dir`.
 * @throws TrmigError E_RECORDING_UNREADY, E_RECORDING_POSITION, E_RECORDING_HELD before anything is started; E_RECORDING_*,
 *   E_IMAGE_*, E_DIVERGED, E_MACHINE_EXISTS, E_QEMU_*, E_TRACER_*, E_ABORTED
 */
export async function replayRecording(dir: string, options: ReplayOptions): Promise<ReplayResult> {
  const { home, signal, follow = false, until } = options;
  const reader = await RecordingReader.open(dir);
  const base = await recordedBase(reader, follow, signal);
  const target = until === undefined ? null : await locate(reader, until, { follow, signal });
  const spec = replaySpec(reader.manifest, options);
  if (options.name !== undefined && options.live !== 'take-over') await refuseExisting(home, spec.name);
  const continuation = options.record === undefined ? null : await beginContinuation(dir, options.live);
  let takeOver: TakeOver | null = null;
  let machine: Machine | null = null;
  let disks: RecordedDisks | null = null;
  let keep = false;
  try {
    takeOver = await beginTakeOver(reader, spec.name, { ...options, dir });
    // A fork would answer for the machine's own addresses.
    const offline = options.live !== 'take-over';
    disks = await RecordedDisks.prepare(base.disks, spec, home.machine(spec.name), !offline);
    const { chains } = disks;
    machine = await Machine.start(spec, {
      home,
      paused: true,
      offline,
      ...(signal && { signal }),
      ...(chains.length > 0 && { disks: { chains, topsOnly: false } }),
    });
    const result = await new Replay(reader, machine, options, target).conduct(takeOver, continuation);
    keep = result.state !== 'ended';
    if (result.state === 'live') await disks.settle();
    if (continuation === null || options.record === undefined) return result;
    options.onLive?.(result);
    return {
      ...result,
      recorded: await continuation.record(machine, { ...options.record, ...(signal && { signal }) }),
    };
  } finally {
    await continuation?.close();
    if (keep) machine?.close();
    else await leaveNothing(machine, home, takeOver, disks);
  }
}

/** A replay's machine goes when the replay ends: it must not be one that was there before. @throws TrmigError E_MACHINE_EXISTS */
async function refuseExisting(home: Home, name: string): Promise<void> {
  if (!(await Machine.list({ home })).some((machine) => machine.name === name)) return;
  throw new TrmigError('E_MACHINE_EXISTS', `there is a machine '${name}' on this host`, {
    hint: 'Choose another --name, or forget that machine with `trmig rm`.',
    facts: { name },
  });
}

/** A taken-over machine keeps its folder: the ownership journal is in it. */
async function leaveNothing(
  machine: Machine | null,
  home: Home,
  takeOver: TakeOver | null,
  disks: RecordedDisks | null,
): Promise<void> {
  const ran = await takeOver?.cancel();
  if (ran === true) return;
  await machine?.stop({ graceful: false });
  await disks?.discard();
  if (machine === null) return;
  if (takeOver === null) await Machine.remove(machine.name, { home }).catch(() => undefined);
}

function replaySpec(manifest: RecordingManifest, { name, live }: ReplayOptions): MachineSpec {
  const spec = recordedSpec(manifest);
  const suffix = live === 'take-over' ? '' : live === 'fork' ? '-fork' : '-replay';
  // The recording has copies of its own.
  const disks = spec.disks.map((disk) => ({ ...disk, shared: false }));
  return { ...spec, disks, name: checkName(name ?? `${manifest.machine}${suffix}`) };
}

class Replay {
  readonly #over = new AbortController();
  #chunks = 0;
  #chunksTotal = 0;
  #begunMs = performance.now();
  #at = { icount: 0, virtualNs: 0 };

  constructor(
    readonly reader: RecordingReader,
    readonly machine: Machine,
    readonly options: ReplayOptions,
    readonly until: number | null,
  ) {
    this.#at.virtualNs = reader.manifest.virtualNs;
  }

  async conduct(takeOver: TakeOver | null, continuation: Continuation | null): Promise<ReplayResult> {
    const { signal, onProgress } = this.options;
    const tick = setInterval(() => onProgress?.(this.#progress()), progressTickMs);
    try {
      await this.#restore();
      const restoreMs = performance.now() - this.#begunMs;
      await takeOver?.replaying();
      this.#begunMs = performance.now();
      const cancelled = AbortSignal.any([this.#over.signal, ...(signal ? [signal] : [])]);
      const { tracer } = this.machine;
      const stream = await tracer.openStream('log', { signal: cancelled });
      const feed = new ReplayFeed(this.reader, stream);
      try {
        const reached = await this.#play(feed, cancelled);
        const replayMs = performance.now() - this.#begunMs;
        const { icount, registers, devices, ...rest } = await tracer.digest({ ram: this.options.verify === true });
        const digests = { registers, devices, ram: 'ram' in rest && typeof rest.ram === 'string' ? rest.ram : null };
        if (reached.final) this.#compare(digests, icount);
        const liveMs = await this.#goLive(takeOver, continuation, reached.final);
        const { segments, events } = feed.fed;
        const recordedMs = feed.recordedNs(reached.virtualNs) / 1e6;
        return {
          machine: this.machine.name,
          state: liveMs !== null ? 'live' : this.options.keep === true ? 'stopped' : 'ended',
          uuid: this.reader.manifest.uuid,
          icount,
          guestMs: this.#guestMs(reached.virtualNs),
          final: reached.final,
          digests,
          segments,
          events,
          restoreMs,
          replayMs,
          recordedMs,
          speed: recordedMs / replayMs,
          liveMs,
          recorded: null,
        };
      } finally {
        this.#over.abort();
        stream.destroy();
      }
    } finally {
      clearInterval(tick);
    }
  }

  async #restore(): Promise<void> {
    const { manifest } = this.reader;
    const { signal } = this.options;
    const { tracer } = this.machine;
    const base = await recordedBase(this.reader, false, signal);
    const { qemu, target, pid, blocks } = await tracer.hello();
    if (qemu !== manifest.qemu || target !== manifest.target) {
      const [theirs, ours] = [`${manifest.qemu} for ${manifest.target}`, `${qemu} for ${target}`];
      throw new TrmigError('E_QEMU_VERSION', `it was recorded with QEMU ${theirs}, and here runs ${ours}`, {
        hint: 'Replay it with the same QEMU.',
        facts: { recorded: manifest.qemu, here: qemu },
      });
    }
    const image = await ImageReader.open(base.image);
    try {
      checkSameBlocks(image.blocks, blocks);
      this.#chunksTotal = image.index.length;
      const options = {
        ...(signal && { signal }),
        onProgress: ({ chunks }: { chunks: number }) => (this.#chunks = chunks),
      };
      await restoreImage({ pid, blocks }, image.chunks(signal ? { signal } : {}), options);
    } finally {
      await image.close();
    }
    const { shift } = manifest;
    await tracer.restore({ shift, deviceState: await readFile(base.deviceState) });
  }

  /** Plays until the position or the log's end. */
  async #play(feed: ReplayFeed, signal: AbortSignal): Promise<{ icount: number; virtualNs: number; final: boolean }> {
    const { tracer } = this.machine;
    const events = tracer.events.stream({ signal });
    const { until } = this;
    await tracer.play({ stream: 'log', ...(until !== null && { until: until as never }) });
    const { follow = false } = this.options;
    const fed = feed.run({ until, follow, signal });
    // Whoever feeds fails first: its error is the one to tell.
    fed.catch((error: unknown) => events.end(asTrmigError(error)));
    let joins = 0;
    for await (const event of events) {
      const reached = this.#onEvent(event);
      if (reached === null) continue;
      const isJoin = reached.final && joins < feed.joins;
      if (!isJoin) return reached;
      if (until !== null && reached.icount >= until) return { ...reached, final: false };
      joins += 1;
      await tracer.continue(until === null ? {} : { until: until as never });
    }
    throw new TrmigError('E_INTERNAL', 'the replay ended without a reason');
  }

  #onEvent(event: TracerEvent): { icount: number; virtualNs: number; final: boolean } | null {
    switch (event.event) {
      case 'played':
        this.#at = event.data;
        return null;
      case 'reached':
        this.#at = event.data;
        return event.data;
      case 'diverged': {
        const { seq, icount, expected, actual } = event.data;
        throw new TrmigError('E_DIVERGED', `the replay differs from the recording at instruction ${icount}`, {
          hint: 'Replay it again: if it differs at the same place, compare QEMU and spec with where it was recorded.',
          facts: { seq, icount, expected, actual },
        });
      }
      default:
        return null;
    }
  }

  /** At the log's end, with what whoever gave the machine up there has digested. @throws TrmigError E_DIVERGED */
  #compare(actual: ReplayResult['digests'], icount: number): void {
    const { manifest } = this.reader;
    const expected = manifest.status === 'complete' ? manifest.digests : null;
    if (expected === null) return;
    const parts = ['registers', 'devices', 'ram'] as const;
    const differing = parts.filter((part) => actual[part] !== null && actual[part] !== expected[part]);
    if (differing.length === 0) return;
    const what = differing.join(' and ');
    throw new TrmigError('E_DIVERGED', `at the end of the replay, instruction ${icount}, ${what} differ`, {
      hint: 'Its machine was given up in another state: compare QEMU and spec with where it was recorded.',
      facts: { icount, differing: what },
    });
  }

  async #goLive(takeOver: TakeOver | null, continuation: Continuation | null, final: boolean): Promise<number | null> {
    if (this.options.live === undefined) return null;
    if (!final) throw new TrmigError('E_INTERNAL', 'only the end of a log goes live');
    await takeOver?.own();
    const { tracer } = this.machine;
    const { pauses } = continuation === null ? await tracer.live() : await continuation.live(this.machine);
    await takeOver?.lives();
    if (takeOver !== null && this.machine.spec.nics.length > 0)
      await this.machine.withQmp(announce).catch(() => undefined);
    return pauses.totalNs / 1e6;
  }

  #guestMs(virtualNs: number): number {
    return (virtualNs - this.reader.manifest.virtualNs) / 1e6;
  }

  #progress(): ReplayProgress {
    const { manifest } = this.reader;
    const phase = this.#chunksTotal === 0 || this.#chunks < this.#chunksTotal ? 'base' : 'replay';
    return {
      phase,
      baseChunks: this.#chunks,
      baseChunksTotal: this.#chunksTotal,
      icount: this.#at.icount,
      endIcount: this.until ?? (manifest.status === 'complete' ? manifest.endIcount : null),
      guestMs: this.#guestMs(this.#at.virtualNs),
      elapsedMs: performance.now() - this.#begunMs,
    };
  }
}
