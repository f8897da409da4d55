// One line for one event, as `log dump` and `log diff` print it. Made for eyes and for grep: position first, then the kind,
// then `name=value`. Not a format to parse: `--json` is.
import type { EventBody, InputDetail, LogEvent } from './event.js';

/** Bytes of an array that a line shows before it is cut. */
const bytesShownMax = 32;

/** `    123456  clock-host ns=1763729674000000000` */
export function formatEvent(event: LogEvent): string {
  const detail = describe(event);
  return `${String(event.icount).padStart(14)}  ${event.kind}${detail === '' ? '' : ` ${detail}`}`;
}

function describe(event: EventBody): string {
  switch (event.kind) {
    case 'instruction':
      return `count=${event.count}`;
    case 'interrupt':
    case 'exception':
    case 'input-sync':
      return '';
    case 'bh':
    case 'bh-oneshot':
    case 'block':
      return `id=${event.id}`;
    case 'input':
      return describeInput(event.input);
    case 'char-read':
      return `device=${event.device} ${bytes(event.data)}`;
    case 'net':
      return `device=${event.device} flags=${event.flags} ${bytes(event.data)}`;
    case 'shutdown':
      return `cause=${event.cause}`;
    case 'char-write':
      return `result=${event.result} written=${event.written}`;
    case 'char-read-all':
      return bytes(event.data);
    case 'char-read-all-error':
      return `result=${event.result}`;
    case 'audio-out':
      return `played=${event.played}`;
    case 'audio-in':
      return `recorded=${event.recorded} position=${event.position}`;
    case 'random':
      return `result=${event.result} ${bytes(event.data)}`;
    case 'clock-host':
    case 'clock-virtual-rt':
      return `ns=${event.ns}`;
    case 'checkpoint':
      return event.checkpoint;
  }
}

function describeInput(input: InputDetail): string {
  switch (input.type) {
    case 'key':
      return `key ${input.key}=${input.value} ${input.down ? 'down' : 'up'}`;
    case 'button':
      return `button ${input.button} ${input.down ? 'down' : 'up'}`;
    case 'relative':
    case 'absolute':
      return `${input.type} ${input.axis}=${input.value}`;
    case 'multi-touch':
      return `multi-touch ${input.touch} slot=${input.slot} id=${input.trackingId} ${input.axis}=${input.value}`;
  }
}

function bytes(data: Uint8Array): string {
  const shown = Buffer.from(data.buffer, data.byteOffset, Math.min(data.length, bytesShownMax)).toString('hex');
  return `bytes=${data.length} data=${shown}${data.length > bytesShownMax ? '…' : ''}`;
}
