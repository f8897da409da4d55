// Connections that deliver in order, each by itself: messages of an old one may arrive after those of a newer one. A cut
// loses what is under way in both directions; a stall keeps it back, and delivers it when an end may have given up long ago.
// Each end notices what has happened when it notices it.
import type { Host } from './host.js';
import type { Session } from './session.js';

type Said =
  | { readonly kind: 'accept' | 'base' | 'live' | 'retired' | 'query' | 'abort' | 'declined' | 'refuse' }
  /** `version`: the guest's state at the log's end. */
  | { readonly kind: 'final'; readonly version: number }
  | { readonly kind: 'ready'; readonly version: number; readonly digest: string }
  | { readonly kind: 'offer' | 'commit'; readonly epoch: number }
  | {
      readonly kind: 'answer';
      readonly holder: 'source' | 'destination' | 'unknown';
      readonly epoch: number;
    };
export type Message = Said & { readonly migration: string };

/** One host's end of a connection. */
export interface End {
  readonly host: Host;
  readonly inbox: Message[];
  open: boolean;
  /** Who reads it; null: whoever listens on that host. */
  reader: Session | null;
}

export class SimulatedLink {
  cut = false;
  stalled = false;
  readonly ends: readonly [End, End];

  constructor(
    readonly id: number,
    dialler: Session,
    to: Host,
  ) {
    this.ends = [
      { host: dialler.host, inbox: [], open: true, reader: dialler },
      { host: to, inbox: [], open: true, reader: null },
    ];
  }

  endAt(host: Host): End {
    return this.ends[0].host === host ? this.ends[0] : this.ends[1];
  }

  other(end: End): End {
    return this.ends[0] === end ? this.ends[1] : this.ends[0];
  }

  send(from: Host, message: Message): void {
    const end = this.endAt(from);
    if (!this.cut && end.open) this.other(end).inbox.push(message);
  }

  /** Loses a random tail of what is under way: a prefix may have arrived already and waits to be read. */
  sever(keep: (count: number) => number): void {
    this.cut = true;
    for (const { inbox } of this.ends) inbox.splice(keep(inbox.length + 1));
  }

  /** What comes next is another migration's, and whoever reads this end is not done with the one before. */
  isEarlyFor(end: End): boolean {
    return end.inbox[0]?.kind === 'offer' && end.reader !== null && !end.reader.isOver;
  }

  /** This end can know that the other one is gone, having read everything. */
  endsFor(end: End): boolean {
    return end.open && end.inbox.length === 0 && (this.cut || !this.other(end).open);
  }

  /** Nothing is heard from the other end, which is there: whoever waits may lose patience. */
  isSilentFor(end: End): boolean {
    return this.stalled || this.other(end).reader?.suspended === true;
  }

  get over(): boolean {
    return !this.ends[0].open && !this.ends[1].open;
  }
}
