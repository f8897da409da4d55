// What the log's tests share: seeded randomness, random payloads of true events, segments of them, folders that go away.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { TrmigError } from '../../src/errors.js';
import type { RecordingFacts } from '../../src/log/manifest.js';
import { sealSegment, type Segment } from '../../src/log/segment.js';
import { icount } from '../../src/units.js';

/** A generator that a seed repeats (mulberry32). */
export class Random {
  #state: number;

  constructor(readonly seed: number) {
    this.#state = seed;
  }

  /** 0 … 2^32 - 1. */
  u32(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  /** 0 … bound - 1. */
  below(bound: number): number {
    return this.u32() % bound;
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.alloc(length);
    for (let at = 0; at < length; at++) bytes[at] = this.below(256);
    return bytes;
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)]!;
  }
}

/** The seed of this run: TRMIG_SEED, or another each day, printed so that a failure can be had again. */
export function seeded(t: Test): Random {
  const seed = Number(process.env.TRMIG_SEED ?? Math.floor(Date.now() / 86_400_000));
  t.comment(`reproduce: TRMIG_SEED=${seed}`);
  return new Random(seed);
}

const fixed: Readonly<Record<number, number>> = {
  1: 0,
  2: 0,
  3: 8,
  4: 8,
  6: 0,
  8: 8,
  22: 8,
  24: 4,
  25: 8,
  28: 8,
  29: 8,
};
const arrays: Readonly<Record<number, number>> = { 7: 1, 9: 5, 23: 0, 27: 4 };
const inputs: readonly (readonly number[])[] = [
  [0, 0, 9],
  [0, 1, 5],
  [1, 5],
  [2, 12],
  [3, 12],
  [4, 32],
];
const codes = [0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 20, 22, 23, 24, 25, 26, 27, 28, 28, 28, 29, 29, 30, 34, 38];

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function randomEvent(random: Random): Buffer {
  const code = random.pick(codes);
  const head = Buffer.from([code]);
  if (code === 0) return Buffer.concat([head, u32(1 + random.below(random.pick([3, 100_000, 0x7fffffff])))]);
  if (code === 5) {
    const words = random.pick(inputs);
    const rest = words[words.length - 1]!;
    return Buffer.concat([head, ...words.slice(0, -1).map(u32), random.bytes(rest)]);
  }
  if (code === 26) {
    const samples = random.below(4);
    return Buffer.concat([head, u32(0), u32(samples), random.bytes(8 + samples * 16)]);
  }
  const array = arrays[code];
  if (array !== undefined) {
    const length = random.below(random.pick([1, 20, 2000]));
    return Buffer.concat([head, random.bytes(array), u32(length), random.bytes(length)]);
  }
  return Buffer.concat([head, random.bytes(fixed[code] ?? 0)]);
}

export function randomPayload(random: Random, events: number): Buffer {
  return Buffer.concat(Array.from({ length: events }, () => randomEvent(random)));
}

/** A log of true events: `count` segments that follow one another, the last one final. */
export function randomLog(random: Random, count: number, eventsMax = 40): Segment[] {
  const segments: Segment[] = [];
  let from = icount(0);
  for (let seq = 0; seq < count; seq++) {
    const segment = sealSegment({
      seq,
      from,
      payload: randomPayload(random, random.below(eventsMax)),
      canary: random.below(2) === 0 ? null : BigInt(random.u32()) << 30n,
      final: seq === count - 1,
      virtualNs: seq * 5_000_000,
      hostNs: 1_000_000_000_000 + seq * 5_100_000,
    });
    segments.push(segment);
    from = segment.to;
  }
  return segments;
}

export async function* each<Item>(items: Iterable<Item>): AsyncGenerator<Item> {
  yield* items;
}

export async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** A folder that goes away with the test. */
export function folder(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'trmig-log-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

export const facts: RecordingFacts = {
  uuid: '1f0e7a52-8c6d-4b6e-8f27-5a4d3c2b1a09',
  machine: 'web',
  spec: '{"machine":"pc"}',
  qemu: '10.0.2',
  target: 'x86_64',
  shift: 1,
  createdMs: 1_763_729_674_000,
  virtualNs: 123_456_789,
  registers: null,
  devices: 'ab'.repeat(16),
  blocks: [{ name: 'pc.ram', bytes: 2 ** 28, pageBytes: 4096 }],
};

/** The TrmigError that `run` throws; anything else is thrown on. */
export function refusal(run: () => unknown): TrmigError | null {
  try {
    run();
    return null;
  } catch (error) {
    if (error instanceof TrmigError) return error;
    throw error;
  }
}

export async function refusalOf(run: () => Promise<unknown>): Promise<TrmigError | null> {
  try {
    await run();
    return null;
  } catch (error) {
    if (error instanceof TrmigError) return error;
    throw error;
  }
}

/** A copy with one to four bytes changed, cut off, put in or repeated. */
export function mutate(random: Random, bytes: Uint8Array): Buffer {
  let result = Buffer.from(bytes);
  for (let change = 1 + random.below(4); change > 0; change--) {
    const at = random.below(Math.max(1, result.length));
    switch (random.below(5)) {
      case 0:
        result = result.subarray(0, at);
        break;
      case 1:
        result = Buffer.concat([result.subarray(0, at), random.bytes(1 + random.below(9)), result.subarray(at)]);
        break;
      case 2:
        result = Buffer.concat([result.subarray(0, at), result.subarray(Math.max(0, at - random.below(64)))]);
        break;
      default:
        if (result.length > 0) result[at]! ^= 1 << random.below(8);
    }
  }
  return result;
}
