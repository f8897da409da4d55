// The receiving end of `ship` (ship.ts has the way of the frames): stores what comes as a recording of this host.
// Of a recording whose beginning is here only the rest is taken.
// Invariants: what is stored has been checked: chunks, the image's digest, each segment against its header, the whole
// against the sender's count; nothing is acknowledged before it is synced; a transfer that breaks leaves nothing, or, once
// the checkpoint is whole, a recording that is usable as far as it goes; a recording that is here changes with the first
// frame that belongs behind it, and never before.
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { TrmigError, asTrmigError } from '../errors.js';
import { ImageWriter } from '../checkpoint/index.js';
import {
  RecordingReader,
  RecordingWriter,
  WireDecoder,
  digestLog,
  manifestName,
  type RecordingManifest,
} from '../log/index.js';
import { parseForeignSpec, type Home } from '../machine/index.js';
import { capabilities } from '../wire/capabilities.js';
import type {
  CheckpointFrame,
  ImageEndFrame,
  LogFrame,
  OfferFrame,
  SegmentFrame,
  SessionFrame,
} from '../wire/frames.js';
import type { Link } from '../wire/link.js';
import { LayerTaker, type ExpectedLayer } from './layer-frames.js';
import { recordedBase } from './recorded-base.js';
import {
  devicePart,
  diskPart,
  discardFolder,
  imagePart,
  lockFolder,
  prepareFolder,
  writePart,
} from './recording-folder.js';
import { frameSegment } from './segment-frames.js';
import { shippedName } from './ship.js';

export interface ReceiveRecordingOptions {
  readonly home: Home;
  readonly signal?: AbortSignal;
}

export interface ShippedRecording {
  /** Its folder, whether or not it arrived. */
  readonly dir: string;
  /** null when nothing is stored. */
  readonly manifest: RecordingManifest | null;
  readonly segments: number;
  /** null when all of it is stored. */
  readonly error: TrmigError | null;
}

/** Stores one offered recording. Never rejects: the result says how it ended. */
export async function receiveRecording(
  link: Link,
  offer: OfferFrame,
  options: ReceiveRecordingOptions,
): Promise<ShippedRecording> {
  const { home, signal } = options;
  const onAbort = (): void => link.destroy(new TrmigError('E_ABORTED', 'the receiver was stopped'));
  signal?.addEventListener('abort', onAbort, { once: true });
  let dir = '';
  try {
    dir = home.recording(shippedName(offer.machine, offer.migrationId));
    const spec = parseForeignSpec(offer.spec, "the recording's spec");
    await home.make(home.recordings);
    const resumes = link.peer.capabilities.includes(capabilities.resumeRecording);
    const isThere = resumes && (await stat(join(dir, manifestName)).catch(() => null)) !== null;
    const folder = await (isThere ? lockFolder(dir) : prepareFolder(dir)).catch((thrown: unknown) => {
      const error = asTrmigError(thrown);
      if (error.code !== 'E_RECORDING_EXISTS') throw error;
      const hint = 'It is stored there already; remove that directory to ship it again.';
      throw new TrmigError(error.code, error.message, { cause: error, hint, facts: error.facts });
    });
    try {
      const there = isThere ? await storedHere(dir, offer) : null;
      const storing = new Storing(dir, offer, spec.disks.length, there?.writer ?? null);
      const stored = there === null ? {} : { stored: there.stored };
      try {
        await link.send({ kind: 'accept', migrationId: offer.migrationId, have: [], ...stored });
        await storing.takeAll(link);
      } catch (thrown) {
        link.patience(0);
        if (!(await storing.keepPrefix(asTrmigError(thrown)))) await discardFolder(folder);
        await link.send({ kind: 'abort', ...plain(thrown) }).catch(() => undefined);
        return { dir, manifest: storing.manifest, segments: storing.segments, error: asTrmigError(thrown) };
      }
      return { dir, manifest: storing.manifest, segments: storing.segments, error: null };
    } finally {
      await folder.release();
    }
  } catch (thrown) {
    const error = asTrmigError(thrown);
    await link.send({ kind: 'refuse', ...plain(error), hint: error.hint }).catch(() => undefined);
    return { dir, manifest: null, segments: 0, error };
  } finally {
    signal?.removeEventListener('abort', onAbort);
    await link.close().catch(() => undefined);
  }
}

interface StoredHere {
  readonly writer: RecordingWriter;
  readonly stored: { readonly segments: number; readonly digest: string };
}

/**
 * What is here of the recording that is offered.
 * @throws TrmigError E_RECORDING_EXISTS for another recording, or one without a checkpoint; E_RECORDING_*
 */
async function storedHere(dir: string, offer: OfferFrame): Promise<StoredHere> {
  const reader = await RecordingReader.open(dir);
  const base = await recordedBase(reader, false, undefined).catch(() => null);
  if (reader.manifest.uuid !== offer.migrationId || base === null) {
    const what = base === null ? 'a recording without a checkpoint' : 'another recording';
    throw new TrmigError('E_RECORDING_EXISTS', `${dir} holds ${what}`, {
      hint: 'Remove that directory to ship this one.',
      facts: { dir },
    });
  }
  const log = await digestLog(reader);
  const [segments, digest] = [log?.segments ?? 0, log?.digest ?? ''];
  return { writer: await RecordingWriter.resume(dir), stored: { segments, digest } };
}

function plain(thrown: unknown): { code: string; message: string } {
  const { code, message } = asTrmigError(thrown);
  return { code, message };
}

class Storing {
  readonly #decoder = new WireDecoder();
  readonly #disks: LayerTaker;
  #writer: RecordingWriter | null = null;
  #image: ImageWriter | null = null;
  #chunks = 0;
  #imageWhole = false;
  #kept = true;
  #end = 0;

  constructor(
    readonly dir: string,
    readonly offer: OfferFrame,
    disks: number,
    /** Of the recording that is here already, until something changes it. */
    private untouched: RecordingWriter | null,
  ) {
    this.#imageWhole = untouched !== null;
    this.#end = untouched?.end ?? 0;
    const expected = Array.from({ length: untouched === null ? disks : 0 }, (_, i): ExpectedLayer => {
      return { layer: { id: diskPart(i), file: join(dir, diskPart(i)), format: 'qcow2' }, virtualBytes: null };
    });
    this.#disks = new LayerTaker(expected);
  }

  /** The checkpoint is whole. */
  get #based(): boolean {
    return this.#imageWhole && this.#disks.whole;
  }

  get manifest(): RecordingManifest | null {
    return this.#kept ? ((this.#writer ?? this.untouched)?.manifest ?? null) : null;
  }

  get segments(): number {
    return (this.#writer ?? this.untouched)?.segments ?? 0;
  }

  /** Until the sender says that it was all. @throws TrmigError whatever is wrong with a frame, the link or the disk */
  async takeAll(link: Link): Promise<void> {
    for await (const frame of link.frames()) {
      if (!(await this.#take(frame))) continue;
      await link.send(frame);
      return;
    }
    throw new TrmigError('E_PEER_GONE', 'the sender closed the connection before the end of its recording');
  }

  /** After a failure: whether what came is worth keeping. Never throws. */
  async keepPrefix(error: TrmigError): Promise<boolean> {
    if (this.untouched !== null) return true;
    await this.#image?.discard();
    await this.#disks.discard();
    const writer = this.#writer;
    this.#kept = this.#based && writer !== null;
    if (this.#kept) await writer?.complete(error.code).catch(() => writer.abort());
    else await writer?.abort().catch(() => undefined);
    return this.#kept;
  }

  /** Takes one frame; true for the last. */
  async #take(frame: SessionFrame): Promise<boolean> {
    switch (frame.kind) {
      case 'checkpoint':
        await this.#begin(frame);
        return false;
      case 'imageChunk': {
        const { kind: _kind, ...chunk } = frame;
        await begun(this.#image).append(chunk);
        this.#chunks += 1;
        return false;
      }
      case 'imageEnd':
        await this.#endImage(frame);
        return false;
      case 'layerBegin':
        begun(this.#writer);
        await this.#disks.begin(frame);
        return false;
      case 'layerChunk':
        await this.#disks.take(frame);
        return false;
      case 'layerEnd':
        await this.#disks.end(frame);
        await begun(this.#writer).addPart(frame.layer, 'disk-layer');
        return false;
      case 'segment':
      case 'log':
        await this.#goOn();
        await this.#append(frame);
        return false;
      case 'shipped': {
        await this.#goOn();
        const writer = begun(this.#writer);
        if (!this.#based || frame.segments !== writer.segments || frame.endIcount !== this.#end) {
          const [sent, came] = [
            `${frame.segments} segments to ${frame.endIcount}`,
            `${writer.segments} to ${this.#end}`,
          ];
          throw new TrmigError('E_WIRE_GARBAGE', `the sender speaks of ${sent}, what came is ${came}`);
        }
        await writer.complete(frame.reason, frame.digests ?? null);
        return true;
      }
      case 'abort':
        throw new TrmigError('E_PEER_GONE', `the sender gave up: ${frame.message}`);
      default:
        throw new TrmigError('E_WIRE_GARBAGE', `a receiver of recordings has no use for a frame '${frame.kind}'`);
    }
  }

  /** With a recording that is here already, when there is something to go on with. */
  async #goOn(): Promise<void> {
    const writer = this.untouched;
    if (writer === null) return;
    await writer.reopen();
    this.untouched = null;
    this.#writer = writer;
  }

  async #begin({ shift, virtualNs, deviceState }: CheckpointFrame): Promise<void> {
    if (this.#imageWhole || this.#writer !== null) throw new TrmigError('E_WIRE_GARBAGE', 'a second checkpoint came');
    const { migrationId, machine, spec, qemu, target, blocks } = this.offer;
    const facts = { uuid: migrationId, machine, spec, qemu, target, shift, virtualNs, blocks };
    const unknown = { registers: null, devices: null };
    this.#writer = await RecordingWriter.create(this.dir, { ...facts, ...unknown, createdMs: Date.now() });
    await writePart(this.dir, devicePart, deviceState);
    await this.#writer.addPart(devicePart, 'device-state');
    this.#image = await ImageWriter.create(
      join(this.dir, imagePart),
      blocks.map(({ name, bytes }) => ({ name, bytes })),
    );
  }

  async #endImage({ chunks, digest }: ImageEndFrame): Promise<void> {
    const image = begun(this.#image);
    if (chunks !== this.#chunks) {
      throw new TrmigError('E_WIRE_GARBAGE', `the base image ended after ${this.#chunks} of ${chunks} chunks`);
    }
    const summary = await image.finish();
    this.#image = null;
    if (summary.digest !== digest) {
      throw new TrmigError('E_IMAGE_DAMAGED', `the image that came has the digest ${summary.digest}, not ${digest}`);
    }
    await begun(this.#writer).addPart(imagePart, 'ram-image');
    this.#imageWhole = true;
  }

  async #append(frame: SegmentFrame | LogFrame): Promise<void> {
    const segment = frameSegment(this.#decoder, frame);
    await begun(this.#writer).append(segment);
    this.#end = segment.to;
  }
}

function begun<T>(value: T | null): T {
  if (value !== null) return value;
  throw new TrmigError('E_WIRE_GARBAGE', 'a part of a recording came where none is expected');
}
