// Two ends of a link that may lose its connection, and the way between them.
import type { Test } from 'tap';
import { capabilities } from '../../src/wire/capabilities.js';
import { connect, listen, type ConnectOptions, type Identity, type ListenOptions } from '../../src/wire/connect.js';
import type { Link } from '../../src/wire/link.js';
import { Brittle } from './brittle.js';

const resuming = [capabilities.resumeLink, capabilities.shortFrames];
export const red: Identity = { trmig: '0.1.0', host: 'red', capabilities: resuming };
export const blue: Identity = { trmig: '0.1.0', host: 'blue', capabilities: resuming };
/** Longer than a test, ms. */
export const long = 60_000;

export interface Pair {
  readonly near: Link;
  readonly far: Link;
  readonly way: Brittle;
}

export interface PairOptions {
  readonly bytesLeft?: () => number;
  readonly near?: Partial<ConnectOptions>;
  readonly far?: Partial<ListenOptions>;
}

export async function linked(t: Test, options: PairOptions = {}): Promise<Pair> {
  let admitted: (link: Link) => void;
  const admission = new Promise<Link>((resolve) => (admitted = resolve));
  const listener = await listen('127.0.0.1', 0, { identity: blue, onLink: (link) => admitted(link), ...options.far });
  const way = await Brittle.to(listener.port, options.bytesLeft);
  const near = await connect('127.0.0.1', way.port, { identity: red, reconnectMs: long, ...options.near });
  const far = await admission;
  t.teardown(async () => {
    near.destroy();
    far.destroy();
    way.close();
    await listener.close();
  });
  return { near, far, way };
}
