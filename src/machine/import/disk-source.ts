// Where a disk's bytes are, and in which format: a spec's disk is a raw or qcow2 image in a file or block device of its host.
import type { Draft } from './draft.js';

/** Options that say how the host reads and writes an image; the guest does not see them. */
export const cachingOption =
  /^((file\.)?(cache(\..*)?|aio|discard|detect-zeroes|locking|auto-read-only|x-.*|drop-cache)|l2-cache.*|refcount-cache.*|cache-clean-interval|cache-size|lazy-refcounts|overlap-check.*|pass-discard-.*|werror|rerror|copy-on-read|throttling.*|throttle.*|iops.*|bps.*|group|boot)$/;
export const cachingReason = "how the host caches and schedules a disk is QEMU's default";
export const driverReason = 'the guest must have a virtio driver';
export const cdromReason = `a cdrom becomes a readonly virtio-blk disk: ${driverReason}`;
const sourceReason = 'a disk of a spec is a file or block device, the same on both hosts';

export type DiskSource = { readonly file: string } | { readonly refusal: string } | { readonly empty: true };

/** QEMU's file name of a disk: a path, or `protocol:…`. */
export function diskSource(name: string): DiskSource {
  if (name === '') return { empty: true };
  const plain = name.replace(/^(file|host_device|host_cdrom):/, '');
  // As QEMU has it, a colon before the first slash ends a protocol.
  if (/^[^/:]*:/.test(plain)) return { refusal: sourceReason };
  return { file: plain };
}

export interface DiskRequest {
  readonly input: string;
  readonly file: string;
  readonly format: string | undefined;
  readonly readonly: boolean;
  /** Why this is not the disk that was asked for; null when it is. */
  readonly change: string | null;
}

/** Adds a disk if its format is one that a spec has; its index, or null. */
export function importDisk(draft: Draft, request: DiskRequest): number | null {
  const { input, file, readonly, change } = request;
  const format = request.format ?? guessedFormat(file);
  if (format !== undefined && format !== 'raw' && format !== 'qcow2') {
    draft.refused(input, `trmig knows raw and qcow2, not ${format}: convert it with qemu-img convert -O qcow2`);
    return null;
  }
  const field = draft.addDisk({ file, readonly, ...(format !== undefined && { format }) });
  const index = draft.disks.length - 1;
  const entry = `${field}: ${draft.disks[index]!.file}`;
  if (format === undefined) {
    const reason = `QEMU guessed the format, and a spec says it: qemu-img info tells which, for ${field}.format`;
    draft.refused(input, reason);
  } else if (change !== null) draft.changed(input, entry, change);
  else if (request.format === undefined)
    draft.changed(input, entry, `QEMU guessed the format; by its name it is ${format}`);
  else draft.kept(input, entry);
  return index;
}

function guessedFormat(file: string): string | undefined {
  if (/\.qcow2?$/i.test(file)) return 'qcow2';
  return /\.(raw|iso)$/i.test(file) || /^\/dev\//.test(file) ? 'raw' : undefined;
}
