// Writes a RAM image. States an outsider can see: no file; `<path>.partial`, left by a crash, worthless and overwritten
// by the next writer; `<path>`, whole and synced.

import type { FileHandle } from 'node:fs/promises';
import { rm } from 'node:fs/promises';
import { TrmigError } from '../errors.js';
import { imageChunksMax } from '../limits.js';
import { fileError, openFile, publish, writeFully, type OpenFile } from '../log/files.js';
import { checkBlocks, checkChunk, encodeChunkHead, type ImageChunk } from './chunk.js';
import { encodeFooter, encodeHeader, encodeIndexEntry, type StoredBlock } from './image-format.js';

/** What a finished image is. */
export interface ImageSummary {
  readonly path: string;
  readonly fileBytes: number;
  /** Of all stored pages, before compression. */
  readonly rawBytes: number;
  readonly chunks: number;
  /** 32 hex digits that stand for the whole content. */
  readonly digest: string;
}

/**
 * Takes the chunks of one image in `captureImage`'s order. Either `finish` or `discard` ends it.
 * Every method throws TrmigError E_DISK_FULL or E_FILE_ACCESS naming the file; after a throw only `discard` is of use.
 */
export class ImageWriter {
  readonly path: string;
  readonly #partialPath: string;
  readonly #file: FileHandle;
  readonly #header: Buffer;
  readonly #index: Buffer[] = [];
  #position = 0;
  #rawBytes = 0;
  #busy = false;

  private constructor(path: string, file: FileHandle, header: Buffer) {
    this.path = path;
    this.#partialPath = `${path}.partial`;
    this.#file = file;
    this.#header = header;
  }

  /** Begins `<path>.partial` with the machine's RAM blocks. */
  static async create(path: string, blocks: readonly StoredBlock[], open: OpenFile = openFile): Promise<ImageWriter> {
    checkBlocks(blocks);
    const header = encodeHeader(blocks);
    let file: FileHandle;
    try {
      file = await open(`${path}.partial`, 'w');
    } catch (thrown) {
      throw fileError(thrown, `${path}.partial`);
    }
    const writer = new ImageWriter(path, file, header);
    try {
      await writer.#write([header]);
    } catch (thrown) {
      await writer.discard();
      throw thrown;
    }
    return writer;
  }

  /** Bytes written so far. */
  get fileBytes(): number {
    return this.#position;
  }

  /** Appends a chunk; wait for it before the next. */
  async append(chunk: ImageChunk): Promise<void> {
    checkChunk(chunk);
    if (this.#index.length >= imageChunksMax) {
      throw new TrmigError('E_IMAGE_MISMATCH', `${this.path}: an image holds at most ${imageChunksMax} chunks`);
    }
    const head = encodeChunkHead(chunk);
    const offset = this.#position;
    await this.#write([head, chunk.compressed]);
    this.#index.push(encodeIndexEntry(chunk, offset, head.length + chunk.compressed.length));
    this.#rawBytes += chunk.rawBytes;
  }

  /** Completes the file, syncs it and gives it its name. */
  async finish(): Promise<ImageSummary> {
    const index = Buffer.concat(this.#index);
    const footer = encodeFooter(this.#header, index, this.#position, this.#rawBytes);
    await this.#write([index, footer]);
    try {
      await this.#file.sync();
      await this.#file.close();
      await publish(this.#partialPath, this.path);
    } catch (thrown) {
      throw fileError(thrown, this.path);
    }
    return {
      path: this.path,
      fileBytes: this.#position,
      rawBytes: this.#rawBytes,
      chunks: this.#index.length,
      digest: footer.toString('hex', 32, 48),
    };
  }

  /** Gives up: the partial file is removed. Never throws. */
  async discard(): Promise<void> {
    await this.#file.close().catch(() => {});
    await rm(this.#partialPath, { force: true }).catch(() => {});
  }

  async #write(pieces: readonly Buffer[]): Promise<void> {
    if (this.#busy) throw new TrmigError('E_INTERNAL', `${this.path}: two writes at once`);
    this.#busy = true;
    try {
      for (const piece of pieces) {
        await writeFully(this.#file, piece, this.#position);
        this.#position += piece.length;
      }
    } catch (thrown) {
      throw fileError(thrown, this.#partialPath);
    } finally {
      this.#busy = false;
    }
  }
}

/** Writes a whole image from a capture; when anything throws, no file is left. */
export async function writeImage(
  path: string,
  blocks: readonly StoredBlock[],
  chunks: AsyncIterable<ImageChunk>,
): Promise<ImageSummary> {
  const writer = await ImageWriter.create(path, blocks);
  try {
    for await (const chunk of chunks) await writer.append(chunk);
    return await writer.finish();
  } catch (thrown) {
    await writer.discard();
    throw thrown;
  }
}
