// The tracer's events, for listeners and for loops. A slow loop must neither lose an event that matters nor grow: `played`
// is cumulative (the newest says all), so a newer one replaces it while it waits; the others are rare.
//
// Invariant: a queue holds at most `controlEventsMax` events; an overflow ends the queue with an error, never silently.
import { z } from 'zod';
import { TrmigError } from '../errors.js';
import { controlEventsMax } from '../limits.js';
import type { ControlChannel, RawEvent } from './control.js';
import { eventSchemas, type TracerEvent, type TracerEventData, type TracerEventName } from './tracer-replies.js';

/** Gives out the validated events of one connection. */
export class TracerEvents {
  private readonly listeners = new Set<(event: TracerEvent) => void>();

  constructor(private readonly channel: ControlChannel) {
    channel.onEvent((raw) => this.receive(raw));
  }

  /** Calls `listener` for each event of that name; returns what stops that. */
  on<N extends TracerEventName>(name: N, listener: (data: TracerEventData<N>) => void): () => void {
    return this.onAny((event) => {
      if (event.event === name) listener(event.data as TracerEventData<N>);
    });
  }

  /** Calls `listener` for every event; returns what stops that. */
  onAny(listener: (event: TracerEvent) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /**
   * Every event from this call on (not from the first iteration on). Ends by the signal (E_ABORTED) or with the
   * connection's error; a loop that leaves early unsubscribes.
   */
  stream(options: { signal?: AbortSignal } = {}): TracerEventQueue {
    const queue = new TracerEventQueue();
    const stops = [
      this.onAny((event) => queue.push(event)),
      this.channel.onClose((reason) => queue.end(reason)),
      onAbort(options.signal, (reason) =>
        queue.end(new TrmigError('E_ABORTED', 'waiting for tracer events was cancelled', { cause: reason })),
      ),
    ];
    queue.onEnd(() => stops.forEach((stop) => stop()));
    return queue;
  }

  /**
   * Resolves with the first event of any of these names from this call on.
   * @throws E_ABORTED, or the connection's error when it ends first
   */
  async next<N extends TracerEventName>(
    names: readonly N[],
    options: { signal?: AbortSignal } = {},
  ): Promise<Extract<TracerEvent, { event: N }>> {
    for await (const event of this.stream(options)) {
      if ((names as readonly TracerEventName[]).includes(event.event))
        return event as Extract<TracerEvent, { event: N }>;
    }
    throw new TrmigError('E_INTERNAL', 'the event stream ended without a reason');
  }

  private receive(raw: RawEvent): void {
    // An event that this version does not know is a newer tracer's; nobody here can be waiting for it.
    if (!Object.hasOwn(eventSchemas, raw.event)) return;
    const name = raw.event as TracerEventName;
    const data = eventSchemas[name].safeParse(raw.data);
    if (!data.success) {
      this.channel.breach(`the event '${name}' does not fit: ${z.prettifyError(data.error)}`);
      return;
    }
    const event = { event: name, data: data.data } as TracerEvent;
    for (const listener of [...this.listeners]) listener(event);
  }
}

type Waiter = { resolve: (result: IteratorResult<TracerEvent>) => void; reject: (error: Error) => void };

/** Events waiting for one consumer. */
export class TracerEventQueue implements AsyncIterableIterator<TracerEvent> {
  private readonly waiting: TracerEvent[] = [];
  private readonly waiters: Waiter[] = [];
  private ended: TrmigError | 'returned' | null = null;
  private readonly endListeners: (() => void)[] = [];

  push(event: TracerEvent): void {
    if (this.ended) return;
    const waiter = this.waiters.shift();
    if (waiter) {
      waiter.resolve({ done: false, value: event });
      return;
    }
    if (event.event === 'played' && this.waiting.at(-1)?.event === 'played') this.waiting.pop();
    if (this.waiting.length >= controlEventsMax) {
      this.end(new TrmigError('E_INTERNAL', `more than ${controlEventsMax} tracer events wait for their consumer`));
      return;
    }
    this.waiting.push(event);
  }

  /** Ends the queue; events that wait are still given out before the error. */
  end(reason: TrmigError | 'returned'): void {
    if (this.ended) return;
    this.ended = reason;
    for (const waiter of this.waiters.splice(0)) {
      if (reason === 'returned') waiter.resolve({ done: true, value: undefined });
      else waiter.reject(reason);
    }
    for (const listener of this.endListeners.splice(0)) listener();
  }

  onEnd(listener: () => void): void {
    if (this.ended) listener();
    else this.endListeners.push(listener);
  }

  next(): Promise<IteratorResult<TracerEvent>> {
    const event = this.waiting.shift();
    if (event) return Promise.resolve({ done: false, value: event });
    if (this.ended === 'returned') return Promise.resolve({ done: true, value: undefined });
    if (this.ended) return Promise.reject(this.ended);
    return new Promise((resolve, reject) => this.waiters.push({ resolve, reject }));
  }

  return(): Promise<IteratorResult<TracerEvent>> {
    this.waiting.length = 0;
    this.end('returned');
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

function onAbort(signal: AbortSignal | undefined, listener: (reason: unknown) => void): () => void {
  if (!signal) return () => undefined;
  if (signal.aborted) {
    listener(signal.reason);
    return () => undefined;
  }
  const call = (): void => listener(signal.reason);
  signal.addEventListener('abort', call, { once: true });
  return () => signal.removeEventListener('abort', call);
}
