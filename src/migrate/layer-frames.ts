// Files of disk layers on a link, one after the other: the end that reads them, and the end that writes and judges them.
import { InFlight } from '../checkpoint/index.js';
import { LayerReader, LayerWriter } from '../disk/index.js';
import { TrmigError } from '../errors.js';
import type { FrozenFile, Layer } from '../machine/index.js';
import type { LayerBeginFrame, LayerChunkFrame, LayerEndFrame } from '../wire/frames.js';
import type { Link } from '../wire/link.js';

type LayerFile = Pick<Layer, 'id' | 'file' | 'format'>;

/** Sends one layer's file. @throws TrmigError E_FILE_ACCESS, E_LAYER_DAMAGED, E_ABORTED, the link's fault */
export async function sendLayer(
  link: Link,
  layer: Pick<Layer, 'id' | 'file'>,
  number: number,
  signal: AbortSignal,
): Promise<FrozenFile> {
  const reader = await LayerReader.open(layer);
  try {
    await link.send({ kind: 'layerBegin', layer: layer.id, bytes: reader.bytes, number }, { signal });
    let chunks = 0;
    for await (const chunk of reader.chunks({ layer: number, signal })) {
      await link.send({ kind: 'layerChunk', ...chunk }, { signal });
      chunks++;
    }
    await link.send({ kind: 'layerEnd', layer: layer.id, chunks, digest: reader.frozen.digest }, { signal });
    return reader.frozen;
  } finally {
    await reader.close();
  }
}

/** A layer that is to come. */
export interface ExpectedLayer<L extends LayerFile = LayerFile> {
  readonly layer: L;
  /** Of the guest's disk; null: whatever the image says. */
  readonly virtualBytes: number | null;
}

/** Takes layers, one at a time. */
export class LayerTaker {
  readonly #taken = new Map<string, FrozenFile>();
  readonly #writing = new InFlight();
  #current: { readonly expected: ExpectedLayer; readonly writer: LayerWriter } | null = null;
  #chunks = 0;

  constructor(private readonly expected: readonly ExpectedLayer[]) {}

  /** A layer's first frame. @throws TrmigError E_WIRE_GARBAGE, E_LAYER_*, E_DISK_FULL, E_FILE_ACCESS */
  async begin({ layer: id, bytes }: LayerBeginFrame): Promise<void> {
    const expected = this.expected.find(({ layer }) => layer.id === id);
    if (expected === undefined || this.#current !== null || this.#taken.has(id)) {
      throw new TrmigError('E_WIRE_GARBAGE', `layer ${id} is not awaited now`);
    }
    this.#current = { expected, writer: await LayerWriter.create(expected.layer, bytes) };
    this.#chunks = 0;
  }

  /** @throws TrmigError as `begin` */
  async take({ kind: _kind, ...chunk }: LayerChunkFrame): Promise<void> {
    if (this.#current === null) throw new TrmigError('E_WIRE_GARBAGE', 'a chunk of no layer');
    const { writer } = this.#current;
    await this.#writing.add(() => writer.write(chunk));
    this.#chunks++;
  }

  /** @throws TrmigError as `begin`, E_LAYER_REFUSED for an image that names other files */
  async end({ layer: id, chunks, digest }: LayerEndFrame): Promise<void> {
    await this.#writing.done();
    const current = this.#current;
    if (current?.expected.layer.id !== id || chunks !== this.#chunks) {
      throw new TrmigError('E_WIRE_GARBAGE', `layer ${id} ended after ${this.#chunks} of ${chunks} chunks`);
    }
    const { writer, expected } = current;
    this.#taken.set(id, await writer.finish({ bytes: writer.bytes, digest }, expected.virtualBytes));
    this.#current = null;
  }

  /** By layer, what has arrived. */
  get taken(): ReadonlyMap<string, FrozenFile> {
    return this.#taken;
  }

  /** Whether all that was to come is here. */
  get whole(): boolean {
    return this.#current === null && this.expected.every(({ layer }) => this.#taken.has(layer.id));
  }

  /** Gives up the layer that is under way. Never throws. */
  async discard(): Promise<void> {
    await this.#writing.settled();
    await this.#current?.writer.discard();
    this.#current = null;
  }
}
