// Connections that deliver in order, each by itself: messages of an old one may arrive after those of a newer one, a cut
// loses what is under way in both directions, and each end notices it when it notices it.

export type Message =
  | { readonly kind: 'offer' | 'accept' | 'base' | 'final' | 'commit' | 'live' | 'retired' | 'query' }
  | { readonly kind: 'ready'; readonly digest: string }
  | { readonly kind: 'answer'; readonly holder: 'source' | 'destination' | 'unknown' }
  | { readonly kind: 'abort' | 'declined' | 'refuse' };

export type Side = 'source' | 'destination';
export const otherSide = (side: Side): Side => (side === 'source' ? 'destination' : 'source');

export class SimulatedLink {
  readonly inbox: Record<Side, Message[]> = { source: [], destination: [] };
  /** Ends that are still open. */
  readonly open: Record<Side, boolean> = { source: true, destination: true };
  cut = false;

  constructor(readonly id: number) {}

  send(from: Side, message: Message): void {
    if (!this.cut && this.open[from]) this.inbox[otherSide(from)].push(message);
  }

  /** Loses a random tail of what is under way: a prefix may have arrived already and waits to be read. */
  sever(keep: (count: number) => number): void {
    this.cut = true;
    for (const side of ['source', 'destination'] as const) this.inbox[side].splice(keep(this.inbox[side].length + 1));
  }

  /** This end can know that the other one is gone, having read everything. */
  endsFor(side: Side): boolean {
    return this.open[side] && this.inbox[side].length === 0 && (this.cut || !this.open[otherSide(side)]);
  }
}
