// The receiving end of `ship` (ship.ts has the way of the frames): stores what comes as a recording of this host.
// Invariants: what is stored has been checked: chunks, the image's digest, each segment against its header, the whole
// against the sender's count; nothing is acknowledged before it is synced; a transfer that breaks leaves nothing, or, once
// the checkpoint is whole, a recording that is usable as far as it goes.
import { join } from 'node:path';
import { TrmigError, asTrmigError } from '../errors.js';
import { ImageWriter } from '../checkpoint/index.js';
import { RecordingWriter, WireDecoder, type RecordingManifest } from '../log/index.js';
import { checkSpec, type Home } from '../machine/index.js';
import type {
  CheckpointFrame,
  ImageEndFrame,
  LogFrame,
  OfferFrame,
  SegmentFrame,
  SessionFrame,
} from '../wire/frames.js';
import type { Link } from '../wire/link.js';
import { devicePart, discardFolder, imagePart, prepareFolder, writePart } from './recording-folder.js';
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
    checkSpec(JSON.parse(offer.spec), { base: '/', source: "the recording's spec" });
    await home.make(home.recordings);
    const folder = await prepareFolder(dir).catch((thrown: unknown) => {
      const error = asTrmigError(thrown);
      if (error.code !== 'E_RECORDING_EXISTS') throw error;
      const hint = 'It is stored there already; remove that directory to ship it again.';
      throw new TrmigError(error.code, error.message, { cause: error, hint, facts: error.facts });
    });
    const storing = new Storing(dir, offer);
    try {
      await link.send({ kind: 'accept', migrationId: offer.migrationId, have: [] });
      await storing.takeAll(link);
    } catch (thrown) {
      if (!(await storing.keepPrefix(asTrmigError(thrown)))) await discardFolder(folder);
      await link.send({ kind: 'abort', ...plain(thrown) }).catch(() => undefined);
      return { dir, manifest: storing.manifest, segments: storing.segments, error: asTrmigError(thrown) };
    }
    return { dir, manifest: storing.manifest, segments: storing.segments, error: null };
  } catch (thrown) {
    const error = asTrmigError(thrown);
    await link.send({ kind: 'refuse', ...plain(error), hint: error.hint }).catch(() => undefined);
    return { dir, manifest: null, segments: 0, error };
  } finally {
    signal?.removeEventListener('abort', onAbort);
    await link.close().catch(() => undefined);
  }
}

function plain(thrown: unknown): { code: string; message: string } {
  const { code, message } = asTrmigError(thrown);
  return { code, message };
}

class Storing {
  readonly #decoder = new WireDecoder();
  #writer: RecordingWriter | null = null;
  #image: ImageWriter | null = null;
  #chunks = 0;
  #based = false;
  #kept = true;
  #end = 0;

  constructor(
    readonly dir: string,
    readonly offer: OfferFrame,
  ) {}

  get manifest(): RecordingManifest | null {
    return this.#kept ? (this.#writer?.manifest ?? null) : null;
  }

  get segments(): number {
    return this.#writer?.segments ?? 0;
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
    await this.#image?.discard();
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
      case 'segment':
      case 'log':
        await this.#append(frame);
        return false;
      case 'shipped': {
        const writer = begun(this.#writer);
        if (!this.#based || frame.segments !== writer.segments || frame.endIcount !== this.#end) {
          const [sent, came] = [
            `${frame.segments} segments to ${frame.endIcount}`,
            `${writer.segments} to ${this.#end}`,
          ];
          throw new TrmigError('E_WIRE_GARBAGE', `the sender speaks of ${sent}, what came is ${came}`);
        }
        await writer.complete(frame.reason);
        return true;
      }
      case 'abort':
        throw new TrmigError('E_PEER_GONE', `the sender gave up: ${frame.message}`);
      default:
        throw new TrmigError('E_WIRE_GARBAGE', `a receiver of recordings has no use for a frame '${frame.kind}'`);
    }
  }

  async #begin({ shift, virtualNs, deviceState }: CheckpointFrame): Promise<void> {
    if (this.#writer !== null) throw new TrmigError('E_WIRE_GARBAGE', 'a second checkpoint came');
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
    this.#based = true;
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
