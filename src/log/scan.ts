// Where one event ends and the next begins. Every reader of a payload goes through `measureEvent`, so this is the one place
// where the bounds of foreign log bytes are checked; what is decoded afterwards lies within them.
//
// Invariant: measureEvent returns n only if the n bytes from `at` on are in the payload and are one whole event.
import { TrmigError } from '../errors.js';
import { segmentPayloadBytesMax } from '../limits.js';
import { EventCode, eventCodeCount, eventNames } from './event-codes.js';

const instructionsMax = 0x7fffffff; // QEMU keeps the difference in an int

// Bytes of the event's fixed part, its code included; -1 for a code that a payload never holds.
const fixedBytes = new Int8Array(eventCodeCount).fill(-1);
for (const code of [1, 2, 6, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]) fixedBytes[code] = 1;
for (const code of [30, 31, 32, 33, 34, 35, 36, 37, 38]) fixedBytes[code] = 1;
fixedBytes[EventCode.instruction] = 5;
fixedBytes[EventCode.bh] = 9;
fixedBytes[EventCode.bhOneshot] = 9;
fixedBytes[EventCode.block] = 9;
fixedBytes[EventCode.clockHost] = 9;
fixedBytes[EventCode.clockVirtualRt] = 9;
fixedBytes[EventCode.charWrite] = 9;
fixedBytes[EventCode.charReadAllError] = 5;
fixedBytes[EventCode.audioOut] = 9;
fixedBytes[EventCode.input] = 5; // + by kind
fixedBytes[EventCode.charRead] = 6; // device, length; + array
fixedBytes[EventCode.net] = 10; // device, flags, length; + array
fixedBytes[EventCode.charReadAll] = 5; // length; + array
fixedBytes[EventCode.random] = 9; // result, length; + array
fixedBytes[EventCode.audioIn] = 17; // recorded, position; + samples

/** Bytes of an input event after its code and kind: key (by key kind), btn, rel, abs, mtt. */
const inputBytes = [-1, 5, 12, 12, 32] as const;
const keyBytes = [4 + 9, 4 + 5] as const;

/** Whether an event of this code is its code and nothing else. */
export function isBareCode(code: number): boolean {
  return fixedBytes[code] === 1;
}

/** A big-endian u32; the caller knows that it is within the payload. */
export function u32At(payload: Uint8Array, at: number): number {
  return ((payload[at]! << 24) | (payload[at + 1]! << 16) | (payload[at + 2]! << 8) | payload[at + 3]!) >>> 0;
}

function refuse(at: number, why: string): TrmigError {
  return new TrmigError('E_LOG_EVENT', `at byte ${at} of the log's payload: ${why}`, { facts: { offset: at } });
}

function truncated(at: number, code: number): TrmigError {
  return refuse(at, `the bytes end inside a "${eventNames[code] ?? code}" event`);
}

/**
 * The length in bytes of the event that begins at `at`, its code included.
 * @throws TrmigError E_LOG_EVENT (facts: offset) when there is no whole, known event.
 */
export function measureEvent(payload: Uint8Array, at: number): number {
  const left = payload.length - at;
  const code = payload[at];
  if (code === undefined) throw refuse(at, 'there is no event');
  const fixed = fixedBytes[code] ?? -1;
  if (fixed < 0) throw refuse(at, `${code} is not the code of an event that QEMU 10.0 writes here`);
  if (fixed > left) throw truncated(at, code);
  let length = fixed;
  switch (code) {
    case EventCode.instruction: {
      const count = u32At(payload, at + 1);
      if (count === 0 || count > instructionsMax) throw refuse(at, `an event of ${count} instructions`);
      break;
    }
    case EventCode.charRead:
      length += u32At(payload, at + 2);
      break;
    case EventCode.net:
      length += u32At(payload, at + 6);
      break;
    case EventCode.charReadAll:
      length += u32At(payload, at + 1);
      break;
    case EventCode.random:
      length += u32At(payload, at + 5);
      break;
    case EventCode.audioIn:
      length += audioBytes(payload, at);
      break;
    case EventCode.input:
      length += inputLength(payload, at, left);
      break;
  }
  if (length > left) throw truncated(at, code);
  return length;
}

// QEMU writes no samples when a read fills its whole ring, whose size the log does not hold. Sound is outside the
// determinism profile; a log with such a read is refused at some later byte, not here.
function audioBytes(payload: Uint8Array, at: number): number {
  const high = u32At(payload, at + 1);
  const samples = u32At(payload, at + 5);
  if (high !== 0 || samples > segmentPayloadBytesMax / 16) throw refuse(at, 'an audio-in event of too many samples');
  return samples * 16;
}

function inputLength(payload: Uint8Array, at: number, left: number): number {
  const kind = u32At(payload, at + 1);
  const plain = inputBytes[kind];
  if (plain === undefined) throw refuse(at, `an input event of the unknown kind ${kind}`);
  if (plain >= 0) return plain;
  if (left < 9) throw truncated(at, EventCode.input);
  const keyKind = u32At(payload, at + 5);
  const key = keyBytes[keyKind];
  if (key === undefined) throw refuse(at, `an input event of the unknown key kind ${keyKind}`);
  return key;
}

export interface PayloadScan {
  readonly events: number;
  readonly instructions: number;
  /** Events by code. */
  readonly counts: Uint32Array;
  /** Bytes by code. */
  readonly bytes: Uint32Array;
}

/**
 * Walks a whole payload.
 * @throws TrmigError E_LOG_EVENT when it is not a run of whole, known events.
 */
export function scanPayload(payload: Uint8Array): PayloadScan {
  const counts = new Uint32Array(eventCodeCount);
  const bytes = new Uint32Array(eventCodeCount);
  let events = 0;
  let instructions = 0;
  for (let at = 0; at < payload.length; events++) {
    const code = payload[at]!;
    const length = measureEvent(payload, at);
    if (code === EventCode.instruction) instructions += u32At(payload, at + 1);
    counts[code]! += 1;
    bytes[code]! += length;
    at += length;
  }
  return { events, instructions, counts, bytes };
}
