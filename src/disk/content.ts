// What a guest sees on a disk, whatever the layers behind it: for tests, `--verify`, and to take a disk out as one file.
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { randomUUID } from 'node:crypto';
import { digestFile } from '../log/file-digest.js';
import type { DiskChain } from '../machine/index.js';
import { chainName, runQemuImg } from './qemu-img.js';
import type { LayerDigest } from './layer-chunk.js';

/** Copying a whole disk is bounded by the signal alone. */
const noLimitMs = 2 ** 31 - 1;

/**
 * Writes a disk's content to one raw file, sparse. A QEMU may have the layers open if its guest is stopped.
 * @throws E_QEMU_IMG, E_ABORTED
 */
export async function exportDisk(
  qemuImg: string,
  chain: DiskChain,
  file: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<void> {
  const args = ['convert', '-q', '-U', '-O', 'raw', chainName(chain.layers), file];
  await runQemuImg(qemuImg, args, { ...options, timeoutMs: noLimitMs });
}

/**
 * Writes a disk's content to one qcow2 image that lies on no other file and holds only what there is. A QEMU may have the
 * layers open if nobody writes to them.
 * @throws E_QEMU_IMG, E_ABORTED
 */
export async function saveDisk(
  qemuImg: string,
  chain: DiskChain,
  file: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<void> {
  const args = ['convert', '-q', '-U', '-O', 'qcow2', chainName(chain.layers), file];
  await runQemuImg(qemuImg, args, { ...options, timeoutMs: noLimitMs });
}

/**
 * The digest of a disk's content: equal for equal content, however it is cut into layers.
 * @param folder has room for what the disk holds, for the length of the call
 * @throws E_QEMU_IMG, E_FILE_ACCESS, E_ABORTED
 */
export async function contentDigest(
  qemuImg: string,
  chain: DiskChain,
  folder: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<LayerDigest> {
  const file = path.join(folder, `content-${randomUUID()}.partial`);
  try {
    await exportDisk(qemuImg, chain, file, options);
    return await digestFile(file, options);
  } finally {
    await rm(file, { force: true });
  }
}
