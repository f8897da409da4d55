// What a qcow2 file says about itself in its first cluster, read without QEMU. A qcow2 file can name other files (a backing
// file, an external data file) that QEMU would open without asking: an image from elsewhere must not be able to name a file
// of this host. So the header is judged before QEMU sees the image, and QEMU is never left to follow names either.
//
// Layout (big-endian): 0 magic, 4 version, 8 u64 backing offset, 16 u32 backing length, 20 u32 cluster bits, 24 u64 size,
// 32 u32 encryption, …; from version 3 on: 72 u64 incompatible features, 100 u32 header length; then extensions of u32 type,
// u32 length, data padded to 8, up to type 0.
//
// Invariant: every read lies inside the bytes that are there; whatever they hold ends in a Qcow2Header or in a reason.

export interface Qcow2Header {
  /** Of the guest's disk. */
  readonly virtualBytes: number;
  readonly clusterBytes: number;
  /** As written in the file; null when there is none. */
  readonly backingFile: string | null;
  readonly backingFormat: string | null;
  readonly encrypted: boolean;
  /** Its data lies in another file. */
  readonly externalData: boolean;
  readonly corrupt: boolean;
}

const magic = 0x514649fb;
const extension = { end: 0, backingFormat: 0xe2792aca, encryption: 0x0537be77, externalData: 0x44415441 } as const;
const incompatible = { corrupt: 2n, externalData: 4n } as const;
/** Dirty, corrupt, external data, compression type, extended L2. A bit beyond means a format of the future. */
const incompatibleKnown = 0b11111n;

/**
 * Parses the beginning of a qcow2 file, its first cluster or the whole file if that is shorter.
 * @returns the header, or the reason why it is none
 */
export function parseQcow2Header(bytes: Buffer): Qcow2Header | string {
  if (bytes.length < 72 || bytes.readUInt32BE(0) !== magic) return 'it is not a qcow2 file';
  const version = bytes.readUInt32BE(4);
  if (version !== 2 && version !== 3) return `it is qcow2 of version ${version}`;
  if (version === 3 && bytes.length < 104) return 'it ends inside its header';
  const clusterBits = bytes.readUInt32BE(20);
  if (clusterBits < 9 || clusterBits > 21) return `its clusters are of 2^${clusterBits} bytes`;
  const clusterBytes = 2 ** clusterBits;
  const virtualBytes = Number(bytes.readBigUInt64BE(24));
  if (!Number.isSafeInteger(virtualBytes)) return 'its disk is impossibly large';
  const features = version === 3 ? bytes.readBigUInt64BE(72) : 0n;
  if ((features & ~incompatibleKnown) !== 0n) return `it needs features (0x${features.toString(16)}) of a newer QEMU`;
  const headerBytes = version === 3 ? bytes.readUInt32BE(100) : 72;
  if (headerBytes < (version === 3 ? 104 : 72) || headerBytes > clusterBytes)
    return `its header has ${headerBytes} bytes`;

  const backing = readBacking(bytes, clusterBytes);
  if ('why' in backing) return backing.why;
  const { at: backingAt, file: backingFile } = backing;
  const extensions = readExtensions(bytes, headerBytes, backingAt === 0 ? clusterBytes : backingAt);
  if (typeof extensions === 'string') return extensions;
  return {
    virtualBytes,
    clusterBytes,
    backingFile,
    backingFormat: extensions.get(extension.backingFormat)?.toString('utf8') ?? null,
    encrypted: bytes.readUInt32BE(32) !== 0 || extensions.has(extension.encryption),
    externalData: (features & incompatible.externalData) !== 0n || extensions.has(extension.externalData),
    corrupt: (features & incompatible.corrupt) !== 0n,
  };
}

/** Where the name of the backing file lies (0: nowhere), and the name. */
function readBacking(
  bytes: Buffer,
  clusterBytes: number,
): { readonly at: number; readonly file: string | null } | { readonly why: string } {
  const at = Number(bytes.readBigUInt64BE(8));
  const length = bytes.readUInt32BE(16);
  // QEMU leaves an offset with a length of 0 when a name has been taken away.
  if (at === 0) return { at: 0, file: null };
  if (at > clusterBytes || length > 1023 || at + length > bytes.length) {
    return { why: 'the name of its backing file lies outside its header' };
  }
  return { at, file: length === 0 ? null : bytes.toString('utf8', at, at + length) };
}

function readExtensions(bytes: Buffer, from: number, to: number): Map<number, Buffer> | string {
  const found = new Map<number, Buffer>();
  // QEMU reads on until it meets the end's type or the end of the room: so must who judges.
  for (let at = from; at + 8 <= to;) {
    if (at + 8 > bytes.length) return 'it ends inside its header';
    const type = bytes.readUInt32BE(at);
    const length = bytes.readUInt32BE(at + 4);
    if (type === extension.end) break;
    const next = at + 8 + Math.ceil(length / 8) * 8;
    if (length > to - at - 8 || at + 8 + length > bytes.length) return 'one of its header extensions is too long';
    if (!found.has(type)) found.set(type, bytes.subarray(at + 8, at + 8 + length));
    at = next;
  }
  return found;
}
