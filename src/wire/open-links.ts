// The links of a listener that may lose their connection and go on over another one: who has a link's name, and the key of whom it
// began with, gets on with it.
// Invariants: a name is given to one link only, and forgotten when that has ended; whether it was the name or the key that was
// wrong is not told.

import { randomBytes } from 'node:crypto';
import type { Link } from './link.js';

/** A name that nobody guesses. */
export const newLinkId = (): string => randomBytes(16).toString('hex');

interface OpenLink {
  readonly link: Link;
  /** Of the peer's certificate; null where there is no TLS. */
  readonly fingerprint: string | null;
}

export class OpenLinks {
  readonly #links = new Map<string, OpenLink>();

  has(id: string): boolean {
    return this.#links.has(id);
  }

  add(id: string, link: Link, fingerprint: string | null): void {
    this.#links.set(id, { link, fingerprint });
    void link.closed.then(() => this.#links.delete(id));
  }

  /** The link that this peer may go on with; null when there is none. */
  find(id: string, fingerprint: string | null): Link | null {
    const open = this.#links.get(id);
    return open?.fingerprint === fingerprint ? open.link : null;
  }
}
