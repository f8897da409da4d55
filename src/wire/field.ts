// What the codecs of codec.ts are made of: one shape for all kinds, and checked reads of the field types that frames use.
// Invariant: a read returns a value within limits.ts or throws RangeError, which becomes the frame's E_WIRE_GARBAGE.

import type { Builder } from 'flatbuffers';
import { TrmigError } from '../errors.js';
import * as limits from '../limits.js';
import { readTable } from '../schema/bounded.js';
import type { FrameKind, FrameOf } from './frames.js';

/** How one kind of frame is laid out. */
export interface Codec<K extends FrameKind> {
  readonly payloadBytesMax: number;
  readonly bodyBytesMax: number;
  /** Null for a kind that has no body. */
  readonly encode: ((builder: Builder, frame: FrameOf<K>) => number) | null;
  payload(frame: FrameOf<K>): Buffer | null;
  decode(body: Buffer, payload: Buffer): FrameOf<K>;
}

interface CodecParts<K extends FrameKind, Table> {
  readonly encode: (builder: Builder, frame: FrameOf<K>) => number;
  readonly root: Parameters<typeof readTable<Table, unknown>>[1]['root'];
  readonly read: (table: Table, payload: Buffer) => Omit<FrameOf<K>, 'kind'>;
  readonly payload?: (frame: FrameOf<K>) => Buffer;
  readonly bodyBytesMax?: number;
}

/** Completes a kind's codec: bounds, and one error for whatever does not decode. */
export function codec<K extends FrameKind, Table>(kind: K, parts: CodecParts<K, Table>): Codec<K> {
  const bytesMax = parts.bodyBytesMax ?? limits.wireBodyBytesMax;
  const fault = (why: string, cause?: unknown): TrmigError =>
    new TrmigError('E_WIRE_GARBAGE', `a ${kind} frame is malformed: ${why}`, { cause, facts: { kind } });
  return {
    bodyBytesMax: bytesMax,
    payloadBytesMax: parts.payload === undefined ? 0 : limits.wirePayloadBytesMax,
    encode: parts.encode,
    payload: (frame) => parts.payload?.(frame) ?? null,
    decode: (body, payload) =>
      readTable(body, {
        root: parts.root,
        bytesMax,
        fault,
        read: (table) => ({ kind, ...parts.read(table, payload) }) as FrameOf<K>,
      }),
  };
}

/** The codec of a kind that is a payload and nothing else. */
export function bare<K extends FrameKind>(
  kind: K,
  parts: {
    readonly payload: (frame: FrameOf<K>) => Buffer;
    readonly read: (payload: Buffer) => Omit<FrameOf<K>, 'kind'>;
    readonly payloadBytesMax?: number;
  },
): Codec<K> {
  return {
    bodyBytesMax: 0,
    payloadBytesMax: parts.payloadBytesMax ?? limits.wirePayloadBytesMax,
    encode: null,
    payload: parts.payload,
    decode: (_body, payload) => ({ kind, ...parts.read(payload) }) as FrameOf<K>,
  };
}

// Times are not bounded by 2^53 ns (104 days): a host's or guest's uptime may exceed that. Above it they round to 2 ns.
export const ns = (value: number): bigint => BigInt(Math.max(0, Math.round(value)));

/** No clock has run for 292 years; a number beyond would not come out of its encoding as it went in. */
export function ofNs(value: bigint): number {
  if (value >= 1n << 63n) throw new RangeError(`${value} ns are no time`);
  return Number(value);
}

export const strings = (builder: Builder, values: readonly string[]): number[] =>
  values.map((value) => builder.createString(value));

export const u64 = (value: number): bigint => BigInt(value);

/** A message made for people, cut to what a frame may carry. */
export const clipped = (value: string): string => (value.length > 1000 ? `${value.slice(0, 999)}…` : value);

/** A required string of at most `bytesMax` UTF-16 units. */
export function text(value: string | null, name: string, bytesMax = limits.wireStringBytesMax): string {
  if (value === null) throw new RangeError(`${name} is missing`);
  if (value.length > bytesMax) throw new RangeError(`${name} is longer than ${bytesMax}`);
  return value;
}

/** A digest in lower-case hex; empty when there is none. */
export function hex(value: string | null, name: string): string {
  const digits = text(value, name, 64);
  if (!/^[0-9a-f]*$/.test(digits)) throw new RangeError(`${name} is not a hex digest`);
  return digits;
}

/** One of an enum's names; 0 and unknown numbers are refused. */
export function named<Names extends string>(
  table: Record<number, string>,
  value: number,
  names: readonly Names[],
): Names {
  const found = names.find((name) => name === table[value]);
  if (found === undefined) throw new RangeError(`${value} is no value of the enum {${names.join(', ')}}`);
  return found;
}

/** A list of at most `countMax` elements. */
export function many<T>(count: number, countMax: number, name: string, at: (index: number) => T): T[] {
  if (count > countMax) throw new RangeError(`${count} ${name} are more than ${countMax}`);
  return Array.from({ length: count }, (_, index) => at(index));
}
