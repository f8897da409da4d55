// The end of a log that is being replayed: what is not replayed yet, and what is since the registers were last seen to agree. A
// replay that goes astray is named by it: a canary only tells that registers differ by then; the log tells what happened between.
// Invariant: what is kept is bounded; where something had to be forgotten, no event is named rather than a wrong one.

import { TrmigError, type Facts } from '../errors.js';
import { logWindowBytesMax } from '../limits.js';
import { decodeEvents, eventNames, type LogEvent, type Segment } from '../log/index.js';
import type { TracerEventData, TracerStatus } from '../machine/index.js';

/** What QEMU writes before it aborts over a log that has another event than it asks for. */
const qemuComplaint = /\S.*\(insn total (\d+)\/\d+ left, event \d+ is ([\w-]+)\)/;

type Named = Pick<LogEvent, 'icount'> & { readonly name: string };

export class LogWindow {
  readonly #segments: Segment[] = [];
  #bytes = 0;
  #whole = true;
  /** Where the registers were last seen to be the log's. */
  #agreedAt = 0;
  #played = -1;

  /** The next segment is handed to the replay. */
  take(segment: Segment): void {
    this.#segments.push(segment);
    this.#bytes += segment.payload.length;
    while (this.#bytes > logWindowBytesMax) {
      this.#drop(1);
      this.#whole = false;
    }
  }

  /** Segments up to this one have been replayed, and no canary among them was wrong. */
  played(seq: number): void {
    this.#played = seq;
    let last = -1;
    for (const [i, segment] of this.#segments.entries()) {
      if (segment.seq > seq) break;
      if (segment.canary !== null) last = i;
    }
    if (last < 0) return;
    this.#agreedAt = this.#segments[last]!.to;
    this.#drop(last + 1);
    this.#whole = true;
  }

  /** Whether there is something to replay. */
  get waits(): boolean {
    return (this.#segments.at(-1)?.seq ?? -1) > this.#played;
  }

  /** A canary was wrong. */
  differs({ seq, icount, expected, actual }: TracerEventData<'diverged'>): TrmigError {
    const between = this.#events().filter((event) => event.icount < icount);
    const first = between[0] ?? null;
    const since =
      first === null ? '' : `; the first of the ${between.length} events since is ${first.name} at ${first.icount}`;
    return diverged(
      `the replay differs from the log at instruction ${icount}: its registers' digest is ${actual} and not ${expected} ` +
        `(segment ${seq}). They agreed at instruction ${this.#agreedAt}${since}`,
      { icount, event: first?.name ?? '', seq, agreedAt: this.#agreedAt, expected, actual },
    );
  }

  /** It stands still although there is log to replay: it does not come to the log's next event, or that does not come to it. */
  stands({ icount, left, event: code }: NonNullable<TracerStatus['replay']>): TrmigError {
    const name = eventNames[code] ?? `event ${code}`;
    const next = this.#events().find((event) => event.icount >= icount + left);
    const event = name === 'instruction' && left > 0 ? (next?.name ?? '') : name;
    const where = left > 0 ? `, ${left} instructions before the log's next event` : ", at the log's next event";
    return diverged(
      `the replay differs from the log: it stands still at instruction ${icount}${where}${event === '' ? '' : ` (${event})`}. ` +
        `The registers agreed at instruction ${this.#agreedAt}`,
      { icount, event, agreedAt: this.#agreedAt },
    );
  }

  /** The replaying QEMU has ended with these last lines; null when they do not speak of the log. */
  complained(lines: readonly string[]): TrmigError | null {
    const found = lines.map((line) => qemuComplaint.exec(line)).findLast((match) => match !== null);
    if (found === undefined) return null;
    const [said, icount, event] = [found[0], Number(found[1]), found[2]!];
    return diverged(
      `the replay differs from the log at instruction ${icount}: ${said}. ` +
        `The registers agreed at instruction ${this.#agreedAt}`,
      { icount, event, agreedAt: this.#agreedAt },
    );
  }

  #drop(count: number): void {
    for (const { payload } of this.#segments.splice(0, count)) this.#bytes -= payload.length;
  }

  /** What the log has since the registers agreed, without the events that only count. */
  #events(): Named[] {
    if (!this.#whole) return [];
    return this.#segments.flatMap(({ payload, from }) =>
      [...decodeEvents(payload, from)]
        .filter(({ kind }) => kind !== 'instruction')
        .map(({ icount, offset }) => ({ icount, name: eventNames[payload[offset]!] ?? '' })),
    );
  }
}

function diverged(message: string, facts: Facts): TrmigError {
  return new TrmigError('E_DIVERGED', message, { facts });
}

/** Where a replay differs from its log, as far as that is known; `event` is '' when it is not. */
export interface Divergence {
  /** Instructions since the checkpoint. */
  readonly icount: number;
  readonly event: string;
}

/** Where an error says that a replay differs; null for one that says nothing of that. */
export function divergenceOf(error: TrmigError | null): Divergence | null {
  if (error?.code !== 'E_DIVERGED') return null;
  const { icount, event } = error.facts;
  return typeof icount === 'number' && typeof event === 'string' ? { icount, event } : null;
}
