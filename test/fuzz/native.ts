// The fuzz targets in C and C++ (native/fuzz): what runs them, and their seeds, which our own encoders make.
import { spawnSync } from 'node:child_process';
import { encodeTracerFrame } from '../../src/log/tracer-frames.js';
import { frames } from '../../src/log/zstd.js';
import { Random, randomLog, randomPayload } from '../log/support.js';

const randoms = (count: number): Random[] => Array.from({ length: count }, (_, seed) => new Random(seed));

/** pages covered - 1, flags, a bitmap of the pages stored, and what zstd makes of them. */
function chunk(pageCount: number, pages: readonly number[]): Buffer {
  const bitmap = Buffer.alloc(Math.ceil(pageCount / 8));
  for (const page of pages) bitmap[page >>> 3]! |= 1 << (page & 7);
  return Buffer.concat([Buffer.of(pageCount - 1, 0), bitmap, frames.squeeze(Buffer.alloc(pages.length * 4096, 'abc'))]);
}

const chunks = [chunk(1, [0]), chunk(8, [0, 7]), chunk(256, [1, 2, 200])];

/** A value of QEMU's, by its kind, then what a client says. */
function request(kind: number, value: bigint, text: string): Buffer {
  const head = Buffer.alloc(10);
  head[0] = kind;
  head.writeBigUInt64LE(value, 1);
  head[9] = 3;
  return Buffer.concat([head, Buffer.from(text)]);
}

const state = Buffer.concat([Buffer.from('QEVM\0\0\0\u0003', 'latin1'), Buffer.alloc(20, 1)]);

/** Each target's seeds. */
export const nativeTargets: Readonly<Record<string, () => readonly Uint8Array[]>> = {
  'native-events': () => randoms(10).map((random) => randomPayload(random, 5)),
  'native-chunk': () => chunks,
  'native-layer': () => chunks.map((bytes) => Buffer.concat([Buffer.of(9), bytes])),
  'native-frames': () =>
    randoms(10).flatMap((random) =>
      randomLog(random, 1, 12).map((segment) => Buffer.concat([Buffer.of(0, 77), encodeTracerFrame(segment)])),
    ),
  'native-control': () => [
    request(2, 7n, '{"execute":"hello","id":1}\n{"execute":"arm","arguments":{"shift":1},"id":2}\n'),
    request(2, 0x3fe0000000000000n, '\n\n{"execute":"pace","arguments":{"share":0.5}}\r\n'),
    request(3, 0n, 'a "quoted" \\ text\u0001\n'),
    request(4, 0n, '\n'),
    request(6, 1n, '{}'),
  ],
  'native-state': () => [state, state.subarray(0, 8)].map((bytes) => Buffer.from(bytes.toString('base64'))),
};

/** Runs a target's program; returns its exit status. */
export function runNative(name: string, argv: readonly string[]): number {
  const program = `native/fuzz/build/${name.replace(/^native-/, '')}`;
  return spawnSync(program, argv, { stdio: 'inherit' }).status ?? 1;
}
