// The sending end of `ship`: a recording, complete or still growing, to a host that stores it. The way of the frames:
//
//   sender                        receiver
//   offer (mode ship)       →
//                           ←     accept | refuse
//   checkpoint              →     unless `accept` says that it is there,
//   imageChunk … imageEnd   →     (segments overtake the image)
//   layerBegin … layerEnd   →     for each disk
//   segment …               →     with those that are there already
//   shipped                 →     all of it is on disk:
//                           ←     shipped
//
// Invariant: the recording here is only read. Either side may send `abort` and close.
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { ERROR_CODES, TrmigError, asTrmigError, type ErrorCode } from '../errors.js';
import { ImageReader } from '../checkpoint/index.js';
import { followPollMs, progressTickMs } from '../limits.js';
import { RecordingReader, digestLog, type EndDigests, type Segment } from '../log/index.js';
import { capabilities } from '../wire/capabilities.js';
import { connect } from '../wire/connect.js';
import type { SessionFrame, ShippedFrame } from '../wire/frames.js';
import type { Link } from '../wire/link.js';
import type { Security } from '../wire/secure.js';
import { identity } from './identity.js';
import { sendLayer } from './layer-frames.js';
import { recordedBase, type RecordedBase } from './recorded-base.js';
import { diskPart } from './recording-folder.js';
import { encoderFor, segmentFrame } from './segment-frames.js';

export interface ShipOptions {
  /** Go on until the recording is complete; else what is there now is all. */
  readonly follow?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: ShipProgress) => void;
}

export interface ShipProgress {
  readonly chunks: number;
  readonly chunksTotal: number;
  readonly segments: number;
  readonly sentBytes: number;
  /** For how long the link has been without a connection; null while it has one. */
  readonly linkBrokenForMs: number | null;
}

export interface ShipResult {
  readonly uuid: string;
  readonly machine: string;
  /** The host that stores it. */
  readonly host: string;
  /** What it is called there: `<machine>-<beginning of the uuid>`. */
  readonly name: string;
  readonly reason: string;
  readonly segments: number;
  /** How many of them the host held already, with the checkpoint; 0 when the checkpoint crossed too. */
  readonly held: number;
  readonly endIcount: number;
  readonly link: {
    readonly encrypted: boolean;
    readonly bytesPerSecondMax: number | null;
    readonly reconnects: number;
    readonly brokenMs: number;
  };
  readonly bytes: { readonly base: number; readonly disk: number; readonly log: number; readonly total: number };
}

/** A copy of a recording that had not ended says so. */
const incomplete = { reason: 'incomplete', digests: null } as const;
/** After the last segment the writer only has the manifest to write. */
const completeMsMax = 5_000;

/** What a shipped recording is called where it is stored: the same for both ends. */
export const shippedName = (machine: string, uuid: string): string => `${machine.slice(0, 54)}-${uuid.slice(0, 8)}`;

export interface ShipTo extends ShipOptions {
  readonly host: string;
  readonly port: number;
  /** Off loopback nothing can be shipped without. */
  readonly security?: Security;
  /** The most that the link may take of the network, but for control frames; no cap when left out. */
  readonly bytesPerSecondMax?: number | undefined;
  /** How long a connection that is lost is to be made again, ms; 0 or left out: the transfer ends with it. */
  readonly reconnectMs?: number | undefined;
}

/**
 * Connects to a receiver and ships the recording in `dir`.
 * @throws as `shipRecording`, and E_CONNECT, E_WIRE_*, E_TLS, E_UNTRUSTED, E_KEY*, E_RECORDING_*
 */
export async function ship(dir: string, options: ShipTo): Promise<ShipResult> {
  const { host, port, security, bytesPerSecondMax, reconnectMs, signal, follow = false } = options;
  const reader = await RecordingReader.open(dir);
  await recordedBase(reader, follow, signal);
  const link = await connect(host, port, {
    identity,
    reconnectMs,
    link: { bytesPerSecondMax },
    ...(security && { security }),
    ...(signal && { signal }),
  });
  try {
    return await shipRecording(link, reader, options);
  } finally {
    link.destroy();
  }
}

/**
 * Ships a recording over a link; the link is done with afterwards.
 * @throws TrmigError E_PEER_REFUSED (or the peer's code), E_PEER_GONE, E_ABORTED, E_RECORDING_*, E_IMAGE_*
 */
export async function shipRecording(link: Link, reader: RecordingReader, options: ShipOptions): Promise<ShipResult> {
  const over = new AbortController();
  const signals = [over.signal, ...(options.signal ? [options.signal] : [])];
  const onAbort = (): void => link.patience(0);
  options.signal?.addEventListener('abort', onAbort, { once: true });
  const shipment = new Shipment(link, reader, { ...options, signal: AbortSignal.any(signals) });
  const tick = setInterval(() => options.onProgress?.(shipment.progress), progressTickMs);
  try {
    await shipment.offer();
    // The receiver speaks next when all is on disk, or when something is wrong.
    const heard = shipment.heard();
    heard.catch((error: unknown) => over.abort(error));
    const shipped = await shipment.send();
    await heard;
    return shipment.result(shipped);
  } catch (thrown) {
    // What was cancelled ends for that reason, whatever else that has broken.
    const ended = [options.signal, over.signal].find((signal) => signal?.aborted === true);
    const error = asTrmigError(ended === undefined ? thrown : ended.reason);
    link.patience(0);
    await link.send({ kind: 'abort', code: error.code, message: error.message }).catch(() => undefined);
    throw error;
  } finally {
    clearInterval(tick);
    options.signal?.removeEventListener('abort', onAbort);
    await link.close().catch(() => undefined);
  }
}

class Shipment {
  #chunks = 0;
  #chunksTotal = 0;
  /** What the receiver holds already; null: not even the checkpoint. */
  #stored: { readonly segments: number; readonly digest: string } | null = null;
  #last: Pick<Segment, 'seq' | 'to'> | null = null;

  constructor(
    readonly link: Link,
    readonly reader: RecordingReader,
    readonly options: ShipOptions & { readonly signal: AbortSignal },
  ) {}

  get progress(): ShipProgress {
    const { base, log, deviceState, disk, overhead } = this.link.bytes.sent;
    const sentBytes = base + log + deviceState + disk + overhead;
    const segments = this.#last === null ? 0 : this.#last.seq + 1;
    const { brokenForMs: linkBrokenForMs } = this.link.outages;
    return { chunks: this.#chunks, chunksTotal: this.#chunksTotal, segments, sentBytes, linkBrokenForMs };
  }

  async offer(): Promise<void> {
    const { uuid, machine, spec, qemu, target, blocks } = this.reader.manifest;
    await this.#send({
      kind: 'offer',
      migrationId: uuid,
      machine,
      mode: 'ship',
      verify: false,
      spec,
      qemu,
      target,
      blocks,
      sourceHost: hostname(),
      sourcePort: 0,
      disks: '',
    });
    const answer = await this.#receive();
    if (answer.kind !== 'accept') throw unexpected(answer);
    this.#stored = answer.stored ?? null;
    if (this.#stored !== null) await this.#checkStored(this.#stored);
  }

  /** @throws TrmigError E_RECORDING_EXISTS when what the receiver holds is not this recording's beginning */
  async #checkStored({ segments, digest }: { segments: number; digest: string }): Promise<void> {
    const ours = await digestLog(this.reader, { count: segments, signal: this.options.signal });
    if (ours?.digest === digest) {
      this.#last = ours.last;
      return;
    }
    const [host, has] = [this.link.peer.host, ours === null ? 'more of it' : 'another continuation of it'];
    throw new TrmigError('E_RECORDING_EXISTS', `${host} holds this recording, and has ${has}`, {
      hint: 'Remove it there to ship this one.',
      facts: { host, segments },
    });
  }

  /** The receiver's last word. @throws TrmigError what it says instead */
  async heard(): Promise<ShippedFrame> {
    const frame = await this.#receive();
    if (frame.kind !== 'shipped') throw unexpected(frame);
    return frame;
  }

  async send(): Promise<ShippedFrame> {
    const { uuid } = this.reader.manifest;
    const base = this.#stored === null ? await this.#sendCheckpoint() : null;
    await Promise.all([base !== null && this.#sendBase(base), this.#sendLog()]);
    const { reason, digests } = await this.#ending();
    const [segments, endIcount] = this.#last === null ? [0, 0] : [this.#last.seq + 1, this.#last.to];
    const end = { reason, segments, endIcount, ...(digests !== null && { digests }) };
    const shipped: ShippedFrame = { kind: 'shipped', migrationId: uuid, ...end };
    await this.#send(shipped);
    return shipped;
  }

  result({ reason, segments, endIcount }: ShippedFrame): ShipResult {
    const { uuid, machine } = this.reader.manifest;
    const { base, disk, log } = this.link.bytes.sent;
    const bytes = { base, disk, log, total: this.progress.sentBytes };
    const name = shippedName(machine, uuid);
    const [host, held] = [this.link.peer.host, this.#stored?.segments ?? 0];
    const { encrypted, bytesPerSecondMax } = this.link;
    const { reconnects, brokenMs } = this.link.outages;
    const link = { encrypted, bytesPerSecondMax, reconnects, brokenMs };
    return { uuid, machine, host, name, reason, segments, held, endIcount, link, bytes };
  }

  /** Returns where the rest of it lies. @throws TrmigError E_DISKS when the receiver cannot take its disks */
  async #sendCheckpoint(): Promise<RecordedBase> {
    const { shift, virtualNs } = this.reader.manifest;
    const base = await recordedBase(this.reader, false, this.options.signal);
    const { host, capabilities: theirs } = this.link.peer;
    if (base.disks.length > 0 && !theirs.includes(capabilities.shipDisks)) {
      throw new TrmigError('E_DISKS', `the trmig on ${host} is older, and does not take recordings with disks`, {
        hint: 'Install the same trmig there, or copy the directory.',
        facts: { host },
      });
    }
    const deviceState = await readFile(base.deviceState);
    await this.#send({ kind: 'checkpoint', shift, virtualNs, hostNs: 0, deviceState });
    return base;
  }

  async #sendBase({ image, disks }: RecordedBase): Promise<void> {
    await this.#sendImage(image);
    for (const [i, file] of disks.entries()) {
      await sendLayer(this.link, { id: diskPart(i), file }, i, this.options.signal);
    }
  }

  async #sendImage(path: string): Promise<void> {
    const image = await ImageReader.open(path);
    try {
      this.#chunksTotal = image.index.length;
      let pages = 0;
      for await (const chunk of image.chunks({ signal: this.options.signal })) {
        await this.#send({ kind: 'imageChunk', ...chunk });
        this.#chunks += 1;
        pages += chunk.pages.length;
      }
      await this.#send({ kind: 'imageEnd', pages, chunks: this.#chunks, digest: image.digest });
    } finally {
      await image.close();
    }
  }

  async #sendLog(): Promise<void> {
    const { follow = false, signal } = this.options;
    const encoder = encoderFor(this.link);
    const from = this.#stored?.segments ?? 0;
    for await (const segment of this.reader.segments({ from, follow, signal })) {
      await this.#send(segmentFrame(encoder, segment));
      this.#last = segment;
    }
  }

  /** Why the recording ended, and in which state. Its manifest is written a moment after its last segment. */
  async #ending(): Promise<{ readonly reason: string; readonly digests: EndDigests | null }> {
    const untilMs = performance.now() + completeMsMax;
    for (;;) {
      const manifest = await this.reader.refresh();
      if (manifest.status === 'complete') {
        // What was appended between our last look and its completion has not been sent.
        return manifest.segments === (this.#last?.seq ?? -1) + 1 ? manifest : incomplete;
      }
      if (this.options.follow !== true || performance.now() > untilMs) return incomplete;
      await new Promise((resolve) => setTimeout(resolve, followPollMs));
    }
  }

  #send(frame: SessionFrame): Promise<void> {
    return this.link.send(frame, { signal: this.options.signal });
  }

  async #receive(): Promise<SessionFrame> {
    const frame = await this.link.receive();
    if (frame === null) throw new TrmigError('E_PEER_GONE', `${this.link.name} closed the connection`);
    return frame as SessionFrame;
  }
}

function unexpected(frame: SessionFrame): TrmigError {
  if (frame.kind !== 'refuse' && frame.kind !== 'abort') {
    return new TrmigError('E_WIRE_GARBAGE', `a sender of recordings has no use for a frame '${frame.kind}'`);
  }
  const code = frame.code in ERROR_CODES ? (frame.code as ErrorCode) : 'E_PEER_REFUSED';
  const hint = frame.kind === 'refuse' && frame.hint !== '' ? { hint: frame.hint } : {};
  return new TrmigError(code, `the receiver refused: ${frame.message}`, hint);
}
