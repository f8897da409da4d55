// One nondeterministic fact that reached the machine, decoded. Field for field what QEMU writes, in the units it uses;
// byte arrays are views into the payload, not copies.
import type { Icount } from '../units.js';
import type { checkpointNames, inputAxes, inputButtons, multiTouchTypes, shutdownCauses } from './event-codes.js';

/** Where an event stands. */
export interface EventPlace {
  /** Instructions executed before the event. An `instruction` event itself begins here. */
  readonly icount: Icount;
  /** Byte offset in the payload. */
  readonly offset: number;
  /** Length in bytes, code included. */
  readonly bytes: number;
}

/** A value of a QAPI enum: its name, or the number when this version of QEMU has no name for it. */
export type Named<Names extends readonly string[]> = Names[number] | number;

export type InputDetail =
  | { readonly type: 'key'; readonly key: 'number' | 'qcode'; readonly value: bigint; readonly down: boolean }
  | { readonly type: 'button'; readonly button: Named<typeof inputButtons>; readonly down: boolean }
  | { readonly type: 'relative' | 'absolute'; readonly axis: Named<typeof inputAxes>; readonly value: bigint }
  | {
      readonly type: 'multi-touch';
      readonly touch: Named<typeof multiTouchTypes>;
      readonly slot: bigint;
      readonly trackingId: bigint;
      readonly axis: Named<typeof inputAxes>;
      readonly value: bigint;
    };

export type EventBody =
  | { readonly kind: 'instruction'; readonly count: number }
  | { readonly kind: 'interrupt' }
  | { readonly kind: 'exception' }
  /** A bottom half ran; `id` is the instruction count when it was scheduled. */
  | { readonly kind: 'bh' | 'bh-oneshot'; readonly id: bigint }
  | { readonly kind: 'input'; readonly input: InputDetail }
  | { readonly kind: 'input-sync' }
  /** Bytes came in on a character device (by order of registration). */
  | { readonly kind: 'char-read'; readonly device: number; readonly data: Uint8Array }
  /** A block request completed. */
  | { readonly kind: 'block'; readonly id: bigint }
  /** A packet came in through a filter-replay (by order of registration). */
  | { readonly kind: 'net'; readonly device: number; readonly flags: number; readonly data: Uint8Array }
  | { readonly kind: 'shutdown'; readonly cause: (typeof shutdownCauses)[number] }
  /** What the host's write returned, and how many bytes it took. */
  | { readonly kind: 'char-write'; readonly result: number; readonly written: number }
  | { readonly kind: 'char-read-all'; readonly data: Uint8Array }
  | { readonly kind: 'char-read-all-error'; readonly result: number }
  | { readonly kind: 'audio-out'; readonly played: bigint }
  /** `samples` holds two u64 (left, right) a sample, big-endian. */
  | { readonly kind: 'audio-in'; readonly recorded: bigint; readonly position: bigint; readonly samples: Uint8Array }
  | { readonly kind: 'random'; readonly result: number; readonly data: Uint8Array }
  /** A read of the host's real-time clock: nanoseconds since the Unix epoch, as the guest's RTC may show them. */
  | { readonly kind: 'clock-host'; readonly ns: bigint }
  | { readonly kind: 'clock-virtual-rt'; readonly ns: bigint }
  | { readonly kind: 'checkpoint'; readonly checkpoint: (typeof checkpointNames)[number] };

export type EventKind = EventBody['kind'];
export type LogEvent = EventPlace & EventBody;
