// Reads a RAM image that may be foreign, cut short or damaged.
// Invariants: nothing is believed before its checksum has been verified; memory is bounded by the index and one chunk;
// every fault is one TrmigError that names the file and the offset.

import type { FileHandle } from 'node:fs/promises';
import { throwIfAborted } from '../errors.js';
import { imageChunksMax } from '../limits.js';
import { fileError, openFile, readFully } from '../log/files.js';
import { checkBlocks, decodeChunk, type ImageChunk } from './chunk.js';
import {
  contentDigest,
  damagedImage,
  decodeFooter,
  decodeHeader,
  decodeIndex,
  footerBytes,
  headerLength,
  headerPrefixBytes,
  type Footer,
  type IndexEntry,
  type StoredBlock,
} from './image-format.js';

export class ImageReader {
  readonly path: string;
  readonly blocks: readonly StoredBlock[];
  readonly index: readonly IndexEntry[];
  readonly #file: FileHandle;
  readonly #footer: Footer;

  private constructor(path: string, file: FileHandle, blocks: StoredBlock[], index: IndexEntry[], footer: Footer) {
    this.path = path;
    this.blocks = blocks;
    this.index = index;
    this.#file = file;
    this.#footer = footer;
  }

  /**
   * Opens an image and verifies all but its chunks.
   * @throws TrmigError E_IMAGE_DAMAGED, E_IMAGE_NEWER, E_FILE_ACCESS
   */
  static async open(path: string): Promise<ImageReader> {
    let file: FileHandle | undefined;
    try {
      file = await openFile(path, 'r');
      return await ImageReader.#read(path, file);
    } catch (thrown) {
      await file?.close();
      throw fileError(thrown, path);
    }
  }

  static async #read(path: string, file: FileHandle): Promise<ImageReader> {
    const fileBytes = (await file.stat()).size;
    const headerBytes = headerLength(await readFully(file, 0, headerPrefixBytes), path);
    if (fileBytes < headerBytes + footerBytes) {
      throw damagedImage(path, fileBytes, 'the file ends without its footer: it is cut short or was never finished');
    }
    const header = await readFully(file, 0, headerBytes);
    const blocks = decodeHeader(header, path);
    try {
      checkBlocks(blocks);
    } catch {
      throw damagedImage(path, headerPrefixBytes, 'its RAM blocks are none that a machine can have');
    }
    const footer = decodeFooter(await readFully(file, fileBytes - footerBytes, footerBytes), fileBytes, path);
    if (footer.indexOffset < headerBytes || footer.chunks > imageChunksMax) {
      throw damagedImage(path, fileBytes - footerBytes, 'the footer contradicts itself');
    }
    const index = await readFully(file, footer.indexOffset, fileBytes - footerBytes - footer.indexOffset);
    if (contentDigest(header, index) !== footer.digest) {
      throw damagedImage(path, footer.indexOffset, "header and index do not have the footer's digest");
    }
    return new ImageReader(path, file, blocks, decodeIndex(index, { headerBytes, footer, blocks }, path), footer);
  }

  /** 32 hex digits that stand for the whole content. */
  get digest(): string {
    return this.#footer.digest;
  }

  get fileBytes(): number {
    return this.#footer.fileBytes;
  }

  /** Of all stored pages, before compression. */
  get rawBytes(): number {
    return this.#footer.rawBytes;
  }

  /**
   * Reads and verifies one chunk of the index.
   * @throws TrmigError E_IMAGE_DAMAGED, E_FILE_ACCESS
   */
  async chunk(entry: IndexEntry): Promise<ImageChunk> {
    let bytes: Buffer;
    try {
      bytes = await readFully(this.#file, entry.offset, entry.bytes);
    } catch (thrown) {
      throw fileError(thrown, this.path);
    }
    const { path } = this;
    const { offset } = entry;
    if (bytes.length < entry.bytes) throw damagedImage(path, offset + bytes.length, 'the file has been cut short');
    const chunk = decodeChunk(bytes, `${path}: at offset ${offset}`, { path, offset });
    const indexed =
      chunk.checksum === entry.checksum &&
      chunk.block === entry.block &&
      chunk.firstPage === entry.firstPage &&
      chunk.pageCount === entry.pageCount &&
      chunk.pages.length === entry.nonZeroPages;
    if (!indexed) throw damagedImage(path, offset, 'the chunk is not the one that the index names');
    return chunk;
  }

  /** All chunks in their order; feed them to `restoreImage`. */
  async *chunks(options: { signal?: AbortSignal } = {}): AsyncGenerator<ImageChunk, void> {
    for (const entry of this.index) {
      throwIfAborted(options.signal, 'the RAM image');
      yield await this.chunk(entry);
    }
  }

  /** Reads everything, so that every checksum has been verified. */
  async verify(options: { signal?: AbortSignal } = {}): Promise<void> {
    for (const entry of this.index) {
      throwIfAborted(options.signal, 'the RAM image');
      await this.chunk(entry);
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}
