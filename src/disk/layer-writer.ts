// Writes a layer that comes from another host. States that an outsider can see: no file; `<path>.partial`, left by a crash,
// worthless and overwritten by the next try; `<path>`, whole, verified and synced.
//
// Invariant: a chunk is bounds-checked against the promised size and verified before its first byte is written; the file
// gets its name only when its digest is the one that the other side has read.
import { mkdir, rm, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { TrmigError } from '../errors.js';
import { captureConcurrencyMax, chunkPagesMax, qcow2HeaderBytesMax } from '../limits.js';
import { fileError, openFile, publish, readFully } from '../log/files.js';
import { parseQcow2Header, type FrozenFile, type Layer } from '../machine/index.js';
import { ERRNO, isNativeFailure, writeLayerChunk } from '../native/index.js';
import { ChunkDigests, checkLayerChunk, type LayerChunk, type LayerDigest } from './layer-chunk.js';

/**
 * Takes the chunks of one layer in any order, several at a time. Either `finish` or `discard` ends it; after a throw only
 * `discard` is of use.
 */
export class LayerWriter {
  readonly #underway = new Set<Promise<void>>();
  readonly #digests: ChunkDigests;

  private constructor(
    readonly layer: Pick<Layer, 'id' | 'file' | 'format'>,
    /** The promised size of the file. */
    readonly bytes: number,
    private readonly partial: string,
    private readonly file: FileHandle,
  ) {
    this.#digests = new ChunkDigests(bytes);
  }

  /**
   * Begins the file, all zeros; what an earlier try left is gone.
   * @throws E_LAYER_REFUSED for a size that no layer has; E_DISK_FULL, E_FILE_ACCESS
   */
  static async create(layer: Pick<Layer, 'id' | 'file' | 'format'>, bytes: number): Promise<LayerWriter> {
    new ChunkDigests(bytes); // Refuses a size before anything is made.
    const partial = `${layer.file}.partial`;
    let file: FileHandle | undefined;
    try {
      await mkdir(path.dirname(layer.file), { recursive: true, mode: 0o700 });
      await rm(partial, { force: true });
      file = await openFile(partial, 'wx+');
      await file.truncate(bytes);
      return new LayerWriter(layer, bytes, partial, file);
    } catch (cause) {
      await file?.close();
      throw fileError(cause, partial);
    }
  }

  /**
   * Writes one chunk; resolves when it is in the file. The caller bounds how many are under way.
   * @throws E_LAYER_DAMAGED when it is not what its checksum says, does not fit the layer, or comes twice; E_DISK_FULL
   */
  async write(chunk: LayerChunk): Promise<void> {
    const where = `a chunk of layer ${this.layer.id}`;
    const facts = { layer: this.layer.id, firstPage: chunk.firstPage };
    checkLayerChunk(chunk, this.bytes, where, facts);
    if (this.#underway.size >= captureConcurrencyMax) throw new TrmigError('E_INTERNAL', `${where}: too many at once`);
    const index = chunk.firstPage / chunkPagesMax;
    if (!this.#digests.claim(index)) throw new TrmigError('E_LAYER_DAMAGED', `${where}: it comes twice`, { facts });
    const written = this.#write(chunk, index, where, facts);
    const settled = written.catch(() => undefined);
    this.#underway.add(settled);
    await written.finally(() => this.#underway.delete(settled));
  }

  /**
   * Compares with what the other side has read, judges the image, syncs the file and gives it its name.
   * @param virtualBytes of the guest's disk; null: whatever a qcow2 image says
   * @throws E_LAYER_DAMAGED when the digests differ, E_LAYER_REFUSED (see `checkReceivedLayer`), E_DISK_FULL, E_FILE_ACCESS
   */
  async finish(expected: LayerDigest, virtualBytes: number | null): Promise<FrozenFile> {
    await Promise.all(this.#underway);
    const found = this.#digests.result();
    if (found.bytes !== expected.bytes || found.digest !== expected.digest) {
      const what = `layer ${this.layer.id} has digest ${found.digest} here, ${expected.digest} where it comes from`;
      throw new TrmigError('E_LAYER_DAMAGED', what, { facts: { layer: this.layer.id } });
    }
    await checkReceived(this.layer, this.file, this.bytes, virtualBytes);
    try {
      await this.file.sync();
      const { mtimeNs } = await this.file.stat({ bigint: true });
      await this.file.close();
      await publish(this.partial, this.layer.file);
      return { ...found, mtimeNs: String(mtimeNs) };
    } catch (cause) {
      throw fileError(cause, this.partial);
    }
  }

  /** Gives up: the partial file is removed. Never throws. */
  async discard(): Promise<void> {
    await Promise.all(this.#underway);
    await this.file.close().catch(() => undefined);
    await rm(this.partial, { force: true }).catch(() => undefined);
  }

  async #write(chunk: LayerChunk, index: number, where: string, facts: { layer: string }): Promise<void> {
    const { pages, compressed, checksum } = chunk;
    try {
      this.#digests.set(index, await writeLayerChunk(this.file.fd, this.bytes, chunk, pages, compressed, checksum));
    } catch (thrown) {
      if (!isNativeFailure(thrown)) throw thrown;
      const { errno, call } = thrown;
      if (errno === ERRNO.EBADMSG || errno === ERRNO.EILSEQ) {
        const why = errno === ERRNO.EBADMSG ? 'its checksum does not match' : 'it does not decompress to its pages';
        throw new TrmigError('E_LAYER_DAMAGED', `${where}: ${why}`, { facts, cause: thrown });
      }
      throw fileError(Object.assign(new Error(`${call} failed with errno ${errno}`), fullErrors[errno]), this.partial);
    }
  }
}

/** ENOSPC, EDQUOT and EFBIG as Node names them. */
const fullErrors: Readonly<Record<number, { code: string }>> = {
  28: { code: 'ENOSPC' },
  122: { code: 'EDQUOT' },
  27: { code: 'EFBIG' },
};

/**
 * Judges an image that came from another host before QEMU opens it: it must name no file of this host and be of the size of the
 * guest's disk.
 * @throws E_LAYER_REFUSED, E_FILE_ACCESS
 */
export async function checkReceivedLayer(
  layer: Pick<Layer, 'id' | 'file' | 'format'>,
  virtualBytes: number,
): Promise<void> {
  let file: FileHandle | undefined;
  try {
    file = await openFile(layer.file, 'r');
    await checkReceived(layer, file, (await file.stat()).size, virtualBytes);
  } catch (cause) {
    throw fileError(cause, layer.file);
  } finally {
    await file?.close();
  }
}

async function checkReceived(
  layer: Pick<Layer, 'id' | 'format'>,
  file: FileHandle,
  bytes: number,
  virtualBytes: number | null,
): Promise<void> {
  const refuse = (why: string): TrmigError =>
    new TrmigError('E_LAYER_REFUSED', `layer ${layer.id} is refused: ${why}`, { facts: { layer: layer.id } });
  if (layer.format === 'raw') {
    // QEMU rounds a raw image's odd end up to a sector.
    if (Math.ceil(bytes / 512) * 512 !== virtualBytes) throw refuse(`it has ${bytes} bytes, the disk ${virtualBytes}`);
    return;
  }
  const header = parseQcow2Header(await readFully(file, 0, Math.min(bytes, qcow2HeaderBytesMax)));
  if (typeof header === 'string') throw refuse(header);
  if (header.backingFile !== null) throw refuse(`it names a backing file, '${header.backingFile.slice(0, 200)}'`);
  if (header.externalData) throw refuse('it names a data file');
  if (header.encrypted) throw refuse('it is encrypted');
  if (header.corrupt) throw refuse('it is marked as corrupt');
  if (virtualBytes !== null && header.virtualBytes !== virtualBytes)
    throw refuse(`its disk has ${header.virtualBytes} bytes, not ${virtualBytes}`);
}
