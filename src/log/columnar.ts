// The columnar encoding of a payload: each field of each kind of event is told by a model of its own (event-model.ts), and
// the decisions that this takes are packed by an arithmetic coder (range-coder.ts). Long data, such as packets, goes
// through zstd:
//
//   decisions …  | long data as zstd leaves it; absent when there is none
//
// A model that lives as long as a link knows what all segments before taught it; on disk each segment begins with a copy of
// the same primed model, so that reading may start anywhere.
import { columnarGrowthMax, columnarPayloadBytesFree } from '../limits.js';
import type { EventModel, Stretch } from './event-model.js';
import { BitReader, BitWriter, type BitCoder } from './range-coder.js';
import type { Squeezer, Unsqueezer } from './zstd.js';

/** What a payload's reader must know beforehand. */
export interface PayloadPlace {
  readonly payloadBytes: number;
  /** The instruction at which it begins. */
  readonly from: number;
}

/** A header around the payload, told with the same coder. */
export interface Around {
  before(coder: BitCoder): PayloadPlace;
  after(coder: BitCoder, instructions: number): void;
}

/** For a payload whose header is told elsewhere. */
export const alone = (place: PayloadPlace): Around => ({ before: () => place, after: () => undefined });

/** So many bytes of events a reader believes in, long data aside: reading them takes time by their number. */
const eventBytesMax = (bytes: number): number => columnarPayloadBytesFree + columnarGrowthMax * bytes;

/**
 * @param payload  valid events
 * @throws RangeError for a payload that becomes fewer bytes than a reader believes in; the model has learned from it then, and the
 * squeezer, whose pieces the reader must all see, has not
 */
export function encodeColumnar(model: EventModel, squeezer: Squeezer, payload: Buffer, around: Around): Buffer {
  const writer = new BitWriter();
  const { from } = around.before(writer);
  const { left, instructions } = model.code(writer, payload, from);
  around.after(writer, instructions);
  const decisions = writer.finish(left.length > 0);
  const data = Buffer.concat(left.map((stretch) => payload.subarray(stretch.from, stretch.to)));
  if (payload.length - data.length > eventBytesMax(decisions.length)) throw new RangeError('they would be too few');
  return left.length === 0 ? decisions : Buffer.concat([decisions, squeezer.squeeze(data)]);
}

/**
 * Undoes encodeColumnar with a model that knows the same. What comes out may be no valid events.
 * @throws RangeError, or what zstd throws, for bytes that no encoder made
 */
export function decodeColumnar(model: EventModel, unsqueezer: Unsqueezer, bytes: Uint8Array, around: Around): Buffer {
  const reader = new BitReader(bytes);
  const { from, payloadBytes } = around.before(reader);
  const payload = Buffer.alloc(payloadBytes);
  const { left, instructions } = model.code(reader, payload, from, eventBytesMax(bytes.length));
  around.after(reader, instructions);
  if (left.length > 0) fill(payload, left, unsqueezer, bytes.subarray(reader.wholeBytes));
  else if (!reader.isAtEnd) throw new RangeError('they go on behind the last event');
  return payload;
}

function fill(payload: Buffer, left: readonly Stretch[], unsqueezer: Unsqueezer, bytes: Uint8Array): void {
  const total = left.reduce((sum, { from, to }) => sum + to - from, 0);
  const data = unsqueezer.unsqueeze(bytes, total);
  let at = 0;
  for (const { from, to } of left) at += data.copy(payload, from, at, at + to - from);
}
