// Decodes QEMU's replay bytes into events. Invariant: fields are read only after measureEvent has found the whole event
// within the payload, so no read here can leave it.
import { icount, type Icount } from '../units.js';
import { TrmigError } from '../errors.js';
import type { EventBody, InputDetail, LogEvent, Named } from './event.js';
import { EventCode, checkpointNames, inputAxes, inputButtons, multiTouchTypes, shutdownCauses } from './event-codes.js';
import { measureEvent, u32At } from './scan.js';
import { discontinuity, type Segment } from './segment.js';

/**
 * The events of a payload, in order. `start` is the instruction count at its beginning.
 * @throws TrmigError E_LOG_EVENT (facts: offset) at the first byte that is not a whole, known event; the events before it
 * have been yielded.
 */
export function* decodeEvents(payload: Uint8Array, start: Icount): Generator<LogEvent, Icount> {
  let position = start;
  for (let at = 0; at < payload.length;) {
    const event = decodeEvent(payload, at, position);
    yield event;
    if (event.kind === 'instruction') position = icount(position + event.count);
    at += event.bytes;
  }
  return position;
}

/**
 * The events of a log. Their offsets are within their own segment.
 * @throws TrmigError E_LOG_SEGMENT when segments do not follow one another.
 */
export async function* decodeSegments(
  segments: AsyncIterable<Segment>,
): AsyncGenerator<{ readonly segment: Segment; readonly event: LogEvent }> {
  let previous: Segment | null = null;
  for await (const segment of segments) {
    const wrong = previous === null ? null : discontinuity(previous, segment);
    if (wrong !== null) throw new TrmigError('E_LOG_SEGMENT', wrong, { facts: { seq: segment.seq } });
    for (const event of decodeEvents(segment.payload, segment.from)) yield { segment, event };
    previous = segment;
  }
}

/** The one event at `at`; throws as `decodeEvents` does. */
export function decodeEvent(payload: Uint8Array, at: number, position: Icount): LogEvent {
  const bytes = measureEvent(payload, at);
  const event = payload.subarray(at, at + bytes);
  return { icount: position, offset: at, bytes, ...decodeBody(event) };
}

/** `event` is exactly one event. */
function decodeBody(event: Uint8Array): EventBody {
  const view = new DataView(event.buffer, event.byteOffset, event.byteLength);
  const code = event[0]!;
  switch (code) {
    case EventCode.instruction:
      return { kind: 'instruction', count: u32At(event, 1) };
    case EventCode.interrupt:
      return { kind: 'interrupt' };
    case EventCode.exception:
      return { kind: 'exception' };
    case EventCode.bh:
      return { kind: 'bh', id: view.getBigUint64(1) };
    case EventCode.bhOneshot:
      return { kind: 'bh-oneshot', id: view.getBigUint64(1) };
    case EventCode.input:
      return { kind: 'input', input: decodeInput(view) };
    case EventCode.inputSync:
      return { kind: 'input-sync' };
    case EventCode.charRead:
      return { kind: 'char-read', device: event[1]!, data: event.subarray(6) };
    case EventCode.block:
      return { kind: 'block', id: view.getBigUint64(1) };
    case EventCode.net:
      return { kind: 'net', device: event[1]!, flags: u32At(event, 2), data: event.subarray(10) };
    case EventCode.charWrite:
      return { kind: 'char-write', result: view.getInt32(1), written: view.getInt32(5) };
    case EventCode.charReadAll:
      return { kind: 'char-read-all', data: event.subarray(5) };
    case EventCode.charReadAllError:
      return { kind: 'char-read-all-error', result: view.getInt32(1) };
    case EventCode.audioOut:
      return { kind: 'audio-out', played: view.getBigUint64(1) };
    case EventCode.audioIn:
      return {
        kind: 'audio-in',
        recorded: view.getBigUint64(1),
        position: view.getBigUint64(9),
        samples: event.subarray(17),
      };
    case EventCode.random:
      return { kind: 'random', result: view.getInt32(1), data: event.subarray(9) };
    case EventCode.clockHost:
      return { kind: 'clock-host', ns: view.getBigInt64(1) };
    case EventCode.clockVirtualRt:
      return { kind: 'clock-virtual-rt', ns: view.getBigInt64(1) };
    default:
      return decodeRange(code);
  }
}

function decodeRange(code: number): EventBody {
  const cause = shutdownCauses[code - EventCode.shutdown];
  if (cause !== undefined) return { kind: 'shutdown', cause };
  const checkpoint = checkpointNames[code - EventCode.checkpoint];
  if (checkpoint !== undefined) return { kind: 'checkpoint', checkpoint };
  throw new TrmigError('E_INTERNAL', `event code ${code} is measured but not decoded`);
}

function decodeInput(view: DataView): InputDetail {
  switch (view.getUint32(1)) {
    case 0:
      return view.getUint32(5) === 0
        ? { type: 'key', key: 'number', value: view.getBigInt64(9), down: view.getUint8(17) !== 0 }
        : { type: 'key', key: 'qcode', value: BigInt(view.getUint32(9)), down: view.getUint8(13) !== 0 };
    case 1:
      return { type: 'button', button: named(inputButtons, view.getUint32(5)), down: view.getUint8(9) !== 0 };
    case 2:
      return { type: 'relative', axis: named(inputAxes, view.getUint32(5)), value: view.getBigInt64(9) };
    case 3:
      return { type: 'absolute', axis: named(inputAxes, view.getUint32(5)), value: view.getBigInt64(9) };
    default:
      return {
        type: 'multi-touch',
        touch: named(multiTouchTypes, view.getUint32(5)),
        slot: view.getBigInt64(9),
        trackingId: view.getBigInt64(17),
        axis: named(inputAxes, view.getUint32(25)),
        value: view.getBigInt64(29),
      };
  }
}

function named<Names extends readonly string[]>(names: Names, value: number): Named<Names> {
  return names[value] ?? value;
}
