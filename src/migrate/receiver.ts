// Listens for sources and takes what they offer: machines, and recordings that are shipped.
// Invariants: a stranger's bytes end that stranger's connection only; machines of one name are taken one at a time.

import { setTimeout as delay } from 'node:timers/promises';
import { TrmigError, asTrmigError } from '../errors.js';
import type { Home } from '../machine/index.js';
import { listen } from '../wire/connect.js';
import type { OfferFrame } from '../wire/frames.js';
import type { Link } from '../wire/link.js';
import type { Security } from '../wire/secure.js';
import { clearAbandoned } from './arrival.js';
import { receiveMachine, type DestinationResult } from './destination.js';
import type { DestinationPhase } from './destination-states.js';
import { identity } from './identity.js';
import { readSyncedJournal } from './journal.js';
import { answerFrom } from './ownership.js';

export interface ReceiveOptions {
  readonly home: Home;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Off loopback nothing can be received without. */
  readonly security?: Security;
  /** Stops listening and cancels what can still be cancelled. */
  readonly signal?: AbortSignal;
  readonly onPhase?: (phase: DestinationPhase, machine: string, peer: string) => void;
  /** Bytes of memory that this host has to give; what the kernel says when left out. */
  readonly memoryToGive?: () => Promise<number>;
  /** Folders in which the kernel, the initrd and the shared disks of a machine must lie; anywhere when left out. */
  readonly files?: readonly string[] | undefined;
  readonly onMachine?: (result: DestinationResult) => void;
  /** Takes an offered recording; without it such offers are refused. */
  readonly takeRecording?: (link: Link, offer: OfferFrame) => Promise<void>;
  readonly onRefused?: (error: TrmigError) => void;
}

export interface Receiver {
  readonly host: string;
  readonly port: number;
  /** Resolves when it listens no more and nothing is under way. */
  readonly closed: Promise<void>;
  /** Stops listening; what is under way goes on. */
  close(): Promise<void>;
}

/** @throws TrmigError E_LISTEN, E_KEYS_MISSING, E_KEYS */
export async function receive(options: ReceiveOptions): Promise<Receiver> {
  // What a receiver before this one left, if it was killed. What cannot be cleared is refused when it is offered again.
  for (const name of await options.home.machineNames()) {
    await clearAbandoned(options.home, name).catch((error: unknown) => options.onRefused?.(asTrmigError(error)));
  }
  const underway = new Set<Promise<void>>();
  const arrivals = new Map<string, Arrival>();
  const onLink = (link: Link): Promise<void> => {
    const done = serve(link, options, arrivals).catch((error: unknown) => options.onRefused?.(asTrmigError(error)));
    underway.add(done);
    return done.finally(() => underway.delete(done));
  };
  const { onRefused, security } = options;
  const listener = await listen(options.host, options.port, {
    identity,
    onLink,
    ...(security && { security }),
    ...(onRefused && { onRefused }),
  });
  let closing: Promise<void> | null = null;
  let resolveClosed: () => void = () => undefined;
  const closed = new Promise<void>((resolve) => (resolveClosed = resolve));
  const close = (): Promise<void> => {
    closing ??= listener.close().then(async () => {
      while (underway.size > 0) await Promise.all(underway);
      resolveClosed();
    });
    return closing;
  };
  options.signal?.addEventListener('abort', () => void close(), { once: true });
  if (options.signal?.aborted === true) void close();
  return { host: listener.address, port: listener.port, closed, close };
}

/** Of a machine or a recording. */
interface Arrival {
  readonly link: Link;
  readonly done: Promise<void>;
}

/** What an arrival that has lost its link may take to clear away what it has. */
const giveWayMsMax = 10_000;

/** One connection: its first frame says what it is for. */
async function serve(link: Link, options: ReceiveOptions, arrivals: Map<string, Arrival>): Promise<void> {
  const first = await link.receive();
  if (first === null) return;
  if (first.kind === 'query') return answer(link, options.home, first.migrationId);
  if (first.kind !== 'offer') {
    const error = new TrmigError('E_WIRE_GARBAGE', `a connection begins with an offer, not with '${first.kind}'`);
    link.destroy(error);
    throw error;
  }
  const { mode, machine, migrationId } = first;
  const what = `${mode} ${mode === 'ship' ? migrationId : machine}`;
  await giveWay(arrivals.get(what), link);
  if (arrivals.has(what)) return refuse(link, new TrmigError('E_BUSY', `'${machine}' is being received already`));
  const done = take(link, first, options).finally(() => arrivals.delete(what));
  arrivals.set(what, { link, done });
  return done;
}

/** A source that was killed and begins anew is not refused because its lost link is still waited for. */
async function giveWay(before: Arrival | undefined, { peer }: Link): Promise<void> {
  if (before === undefined || before.link.outages.brokenForMs === null || before.link.peer.host !== peer.host) return;
  before.link.patience(0);
  await Promise.race([before.done.catch(() => undefined), delay(giveWayMsMax, undefined, { ref: false })]);
}

async function take(link: Link, offer: OfferFrame, options: ReceiveOptions): Promise<void> {
  if (offer.mode === 'ship') {
    if (options.takeRecording) return options.takeRecording(link, offer);
    return refuse(link, new TrmigError('E_PEER_REFUSED', 'this receiver takes no recordings'));
  }
  const { home, signal, onPhase, memoryToGive, files } = options;
  for (let next: OfferFrame | null = offer; next !== null;) {
    const result: DestinationResult = await receiveMachine(link, next, {
      home,
      files,
      ...(signal && { signal }),
      ...(memoryToGive && { memoryToGive }),
      ...(onPhase && { onPhase: (phase, machine) => onPhase(phase, machine, link.name) }),
    });
    options.onMachine?.(result);
    next = result.next;
  }
}

async function refuse(link: Link, error: TrmigError): Promise<void> {
  await link
    .send({ kind: 'refuse', code: error.code, message: error.message, hint: error.hint })
    .catch(() => undefined);
  await link.close();
}

/** Answers a peer's question from the journals of this host's machines. */
async function answer(link: Link, home: Home, migrationId: string): Promise<void> {
  for (const name of await home.machineNames()) {
    const records = await readSyncedJournal(home.machine(name).ownership);
    const record = records.findLast((one) => one.migrationId === migrationId);
    if (record === undefined) continue;
    const holder = answerFrom(records, migrationId);
    await link.send({ kind: 'answer', migrationId, holder, epoch: record.epoch });
    return link.close();
  }
  await link.send({ kind: 'answer', migrationId, holder: 'unknown', epoch: 0 });
  return link.close();
}
