// The addon is found from the package's root, wherever the compiled JavaScript lies (dist/, build/src/), and loaded at
// its first use: commands that need no native code run without it, and a missing build is one clear error.

import { existsSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TrmigError } from '../errors.js';

/** What native/addon exports. Arguments must have been checked; a rejected promise carries a NativeFailure. */
export interface Addon {
  xxh3(bytes: Uint8Array): bigint;
  xxh128(bytes: Uint8Array): string;
  readPages(pid: number, address: number, bytes: number, pageBytes: number): Promise<NativePages>;
  writePages(pid: number, address: number, pageBytes: number, pages: Uint32Array, data: Uint8Array): Promise<void>;
  clearPages(pid: number, address: number, bytes: number): Promise<number>;
  digestBlocks(pid: number, addressesAndBytes: readonly number[]): Promise<string>;
  captureChunk(
    pid: number,
    address: number,
    level: number,
    block: number,
    firstPage: number,
    pageCount: number,
  ): Promise<NativeChunk>;
  restoreChunk(
    pid: number,
    address: number,
    block: number,
    firstPage: number,
    pageCount: number,
    pages: Uint32Array,
    compressed: Uint8Array,
    checksum: bigint,
  ): Promise<void>;
  dataExtents(fd: number, from: number, to: number, countMax: number): Promise<Float64Array>;
  readLayerChunk(
    fd: number,
    fileBytes: number,
    level: number,
    layer: number,
    firstPage: number,
    pageCount: number,
  ): Promise<NativeLayerChunk>;
  writeLayerChunk(
    fd: number,
    fileBytes: number,
    layer: number,
    firstPage: number,
    pageCount: number,
    pages: Uint32Array,
    compressed: Uint8Array,
    checksum: bigint,
  ): Promise<bigint>;
  scanEvents(payload: Uint8Array): NativeScan;
}

export interface NativePages {
  /** Indices of the pages that are not all zero, ascending, counted from the range's start. */
  pages: Uint32Array;
  /** These pages' bytes, one after the other. */
  data: Buffer;
  zeroPages: number;
}

export interface NativeChunk {
  pages: Uint32Array;
  compressed: Buffer;
  checksum: bigint;
}

export interface NativeLayerChunk extends NativeChunk {
  /** XXH3-64 of the range's raw bytes that lie inside the file. */
  digest: bigint;
}

export interface NativeScan {
  /** Whole events. */
  events: number;
  /** Sum of the INSTRUCTION events. */
  instructions: number;
  /** Whole events by code (40 entries). */
  counts: Uint32Array;
  /** Bytes of whole events; where it ends short of the payload, the rest is a partial event or the error. */
  bytes: number;
  /** Why the byte stream is no QEMU 10.0 log, or null. */
  error: string | null;
}

function packageRoot(): string {
  for (let at = dirname(fileURLToPath(import.meta.url)); at !== dirname(at); at = dirname(at)) {
    const manifest = join(at, 'package.json');
    if (existsSync(manifest)) return dirname(realpathSync(manifest));
  }
  throw new TrmigError('E_NATIVE', 'the package that this code belongs to has no package.json above it');
}

let loaded: Addon | undefined;

/** @throws TrmigError E_NATIVE when the addon is not built, or was built for another Node. */
export function addon(): Addon {
  if (loaded) return loaded;
  const path = join(packageRoot(), 'native', 'addon', 'build', 'Release', 'trmig.node');
  try {
    loaded = createRequire(import.meta.url)(path) as Addon;
    return loaded;
  } catch (cause) {
    const why = existsSync(path) ? 'cannot be loaded' : 'is not built';
    throw new TrmigError('E_NATIVE', `the native part ${why}: ${path}`, { cause, facts: { path } });
  }
}
