// Reads the file of a frozen layer as a stream of chunks, once, and knows its digest at the end. Holes are skipped by the file
// system's own knowledge of them, zeros that are written out by looking. Reading goes through the host's page cache, where a
// layer that was just written still lies.
// Invariants: at most `concurrency` chunks are being read or wait for the consumer, so memory is bounded however slow the
// consumer is; chunks come in ascending order; when the iteration ends, however it ends, nothing reads the file any more.
import type { FileHandle } from 'node:fs/promises';
import { TrmigError, throwIfAborted } from '../errors.js';
import { captureConcurrency, captureConcurrencyMax, chunkPagesMax, imagePageBytes, layerZstdLevel } from '../limits.js';
import { fileError, openFile } from '../log/files.js';
import type { FrozenFile, Layer } from '../machine/index.js';
import { dataExtents, isNativeFailure, readLayerChunk } from '../native/index.js';
import { ChunkDigests, chunkBytes, chunkCount, chunkPages, type LayerChunk, type LayerDigest } from './layer-chunk.js';

/** How far a reading is. The object is the reporter's to keep: each call gets a new one. */
export interface LayerProgress {
  /** Of the file, holes included, and in all. */
  readonly scannedBytes: number;
  readonly totalBytes: number;
  /** Of these, what was not zero, and what that became. */
  readonly rawBytes: number;
  readonly compressedBytes: number;
  readonly chunks: number;
}

export interface LayerReadOptions {
  /** The layer's number in its shipment. */
  readonly layer: number;
  readonly signal?: AbortSignal | undefined;
  /** Chunks read ahead, 1 … 16. */
  readonly concurrency?: number;
  /** zstd level, 1 … 19. */
  readonly level?: number;
  /** Called after each chunk, on the main thread. */
  readonly onProgress?: (progress: LayerProgress) => void;
}

interface Read {
  readonly chunk: LayerChunk | null;
  readonly digest: bigint;
}

/** Extents asked for at once: a fragmented file has many, and each costs the file system a look. */
const extentsAtOnce = 1024;

/** A frozen layer's file, open for reading. `close` ends it. */
export class LayerReader {
  #digest: LayerDigest | null = null;

  private constructor(
    readonly path: string,
    /** Of the file. */
    readonly bytes: number,
    private readonly mtimeNs: bigint,
    private readonly file: FileHandle,
  ) {}

  /** @throws E_FILE_ACCESS */
  static async open(layer: Pick<Layer, 'file'>): Promise<LayerReader> {
    let file: FileHandle | undefined;
    try {
      file = await openFile(layer.file, 'r');
      const stat = await file.stat({ bigint: true });
      // A block device says its size only to who seeks its end; it is asked for a file of that size by its name.
      const bytes = stat.isBlockDevice() ? await deviceBytes(file) : Number(stat.size);
      return new LayerReader(layer.file, bytes, stat.mtimeNs, file);
    } catch (cause) {
      await file?.close();
      throw fileError(cause, layer.file);
    }
  }

  /** Bytes of the file that are no holes, as the file system knows it: what a shipment has to read. @throws E_FILE_ACCESS */
  async dataBytes(): Promise<number> {
    let sum = 0;
    for await (const [, bytes] of this.#extents(undefined)) sum += bytes;
    return sum;
  }

  /**
   * Streams the file. Once.
   * @throws E_FILE_ACCESS, E_LAYER_DAMAGED when the file changes meanwhile, E_ABORTED
   */
  async *chunks(options: LayerReadOptions): AsyncGenerator<LayerChunk, void> {
    const { signal, concurrency = captureConcurrency, level = layerZstdLevel, layer, onProgress } = options;
    if (!(concurrency >= 1 && concurrency <= captureConcurrencyMax)) {
      throw new TrmigError('E_INTERNAL', `cannot read a layer with concurrency ${concurrency}`);
    }
    const digests = new ChunkDigests(this.bytes);
    const indices = this.#dataChunks(signal);
    const underway: { index: number; read: Promise<Read> }[] = [];
    const readAhead = async (): Promise<void> => {
      while (underway.length < concurrency) {
        const next = await indices.next();
        if (next.done === true) return;
        const read = this.#read(next.value, layer, level);
        read.catch(() => undefined); // It is reported when its turn comes; until then it is not unhandled.
        underway.push({ index: next.value, read });
      }
    };
    const progress = { scannedBytes: 0, totalBytes: this.bytes, rawBytes: 0, compressedBytes: 0, chunks: 0 };
    try {
      throwIfAborted(signal, this.path);
      for (;;) {
        await readAhead();
        if (underway.length === 0) break;
        const { index, read } = underway[0]!;
        const { chunk, digest } = await read;
        throwIfAborted(signal, this.path);
        underway.shift();
        digests.set(index, digest);
        progress.scannedBytes = Math.min((index + 1) * chunkBytes, this.bytes);
        progress.rawBytes += chunk?.rawBytes ?? 0;
        progress.compressedBytes += chunk?.compressed.length ?? 0;
        progress.chunks += chunk === null ? 0 : 1;
        onProgress?.({ ...progress });
        if (chunk !== null) {
          await readAhead();
          yield chunk;
          throwIfAborted(signal, this.path);
        }
      }
      onProgress?.({ ...progress, scannedBytes: this.bytes });
      await this.#checkUnchanged();
      this.#digest = digests.result();
    } finally {
      await Promise.allSettled(underway.map(({ read }) => read));
    }
  }

  /** What the file was, for disks.json and the other side. Only after `chunks` has ended. */
  get frozen(): FrozenFile {
    if (this.#digest === null) throw new TrmigError('E_INTERNAL', `${this.path} has not been read to its end`);
    return { ...this.#digest, mtimeNs: String(this.mtimeNs) };
  }

  async close(): Promise<void> {
    await this.file.close();
  }

  async #read(index: number, layer: number, level: number): Promise<Read> {
    const firstPage = index * chunkPagesMax;
    const range = { layer, firstPage, pageCount: chunkPages(this.bytes, index) };
    try {
      const { digest, ...read } = await readLayerChunk(this.file.fd, this.bytes, level, range);
      const rawBytes = read.pages.length * imagePageBytes;
      return { digest, chunk: read.pages.length === 0 ? null : { ...range, ...read, rawBytes } };
    } catch (thrown) {
      throw readError(thrown, this.path);
    }
  }

  /** The chunks that the file system does not know to be holes, ascending, each once. */
  async *#dataChunks(signal: AbortSignal | undefined): AsyncGenerator<number, void> {
    let next = 0;
    for await (const [offset, bytes] of this.#extents(signal)) {
      const end = Math.min(Math.ceil((offset + bytes) / chunkBytes), chunkCount(this.bytes));
      for (let index = Math.max(next, Math.floor(offset / chunkBytes)); index < end; index++) yield index;
      next = Math.max(next, end);
    }
  }

  async *#extents(signal: AbortSignal | undefined): AsyncGenerator<readonly [number, number], void> {
    for (let at = 0; at < this.bytes;) {
      throwIfAborted(signal, this.path);
      let pairs: Float64Array;
      try {
        pairs = await dataExtents(this.file.fd, at, this.bytes, extentsAtOnce);
      } catch (thrown) {
        throw readError(thrown, this.path);
      }
      for (let i = 0; i < pairs.length; i += 2) yield [pairs[i]!, pairs[i + 1]!];
      if (pairs.length < 2 * extentsAtOnce) return;
      at = pairs.at(-2)! + pairs.at(-1)!;
    }
  }

  /** A layer that is shipped must not be written: better found here than by a guest. */
  async #checkUnchanged(): Promise<void> {
    const now = await this.file.stat({ bigint: true });
    if (now.isBlockDevice() || (Number(now.size) === this.bytes && now.mtimeNs === this.mtimeNs)) return;
    throw new TrmigError('E_LAYER_DAMAGED', `${this.path} was written to while it was read, and it is frozen`, {
      hint: 'Find who writes to it: a layer beneath another belongs to trmig.',
      facts: { path: this.path },
    });
  }
}

/** Reads a layer to its end for its digest alone. @throws E_FILE_ACCESS, E_LAYER_DAMAGED, E_ABORTED */
export async function digestLayer(
  layer: Pick<Layer, 'file'>,
  options: { readonly signal?: AbortSignal } = {},
): Promise<FrozenFile> {
  const reader = await LayerReader.open(layer);
  try {
    for await (const _ of reader.chunks({ ...options, layer: 0 })) {
      // Only the end is of interest.
    }
    return reader.frozen;
  } finally {
    await reader.close();
  }
}

function readError(thrown: unknown, path: string): unknown {
  if (!isNativeFailure(thrown)) return thrown;
  const { errno, call } = thrown;
  const why = errno === 5 ? 'it cannot be read to its end' : `${call} failed with errno ${errno}`;
  return new TrmigError('E_FILE_ACCESS', `${path}: ${why}`, { facts: { path, errno, call }, cause: thrown });
}

/** The size of a block device: found by bisection, since nothing but reading asks it of an open file here. */
async function deviceBytes(file: FileHandle): Promise<number> {
  const isInside = async (at: number): Promise<boolean> => (await file.read(Buffer.alloc(1), 0, 1, at)).bytesRead === 1;
  let [low, high] = [0, 1];
  while (await isInside(high - 1)) [low, high] = [high, high * 2];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (await isInside(middle)) low = middle + 1;
    else high = middle;
  }
  return low;
}
