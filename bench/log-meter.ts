// How much log a workload makes: its raw bytes, and what a link's encoder makes of them. While it is measured the log is only
// kept; it is decoded and encoded afterwards, so that this costs the guest nothing.
import type net from 'node:net';
import { once } from 'node:events';
import { TracerFrameDecoder, WireEncoder, type Segment } from '../src/log/index.js';
import type { TracerClient } from '../src/machine/index.js';
import { figure, type Figure } from './figure.js';

/** How segments are cut while a destination follows. */
export const segmentCut = { segmentMs: 10, segmentBytes: 64 * 1024 } as const;

/** Per second of this machine's clock, over all recorded windows. */
export interface LogRate {
  readonly rawBytesPerSecond: Figure | null;
  readonly wireBytesPerSecond: Figure | null;
  readonly eventsPerSecond: Figure | null;
  /** The guest's clock against this machine's while armed; 1 is real time. */
  readonly guestClock: Figure | null;
}

interface Recorded {
  readonly seconds: number;
  readonly rawBytes: number;
  readonly wireBytes: number;
  readonly events: number;
  readonly virtualNs: number;
}

export class LogMeter {
  readonly #recorded: Recorded[] = [];

  /** Arms the machine; `end` disarms it and counts what came. */
  async record(tracer: TracerClient, shift: number): Promise<{ end(): Promise<void> }> {
    const stream = `log-${this.#recorded.length}`;
    const socket = await tracer.openStream(stream);
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    const { virtualNs } = await tracer.arm({ shift, stream, ...segmentCut, checkpoint: false });
    const beganMs = performance.now();
    return {
      end: async () => {
        const finished = finalSegment(socket);
        await tracer.disarm();
        const seconds = (performance.now() - beganMs) / 1000;
        await finished;
        this.#recorded.push(count(chunks, seconds, virtualNs));
      },
    };
  }

  rate(): LogRate {
    const each = (of: (recorded: Recorded) => number): Figure | null =>
      figure(this.#recorded.map((recorded) => of(recorded) / recorded.seconds));
    return {
      rawBytesPerSecond: each(({ rawBytes }) => rawBytes),
      wireBytesPerSecond: each(({ wireBytes }) => wireBytes),
      eventsPerSecond: each(({ events }) => events),
      guestClock: each(({ virtualNs }) => virtualNs / 1e9),
    };
  }
}

/** The tracer closes a stream after the final segment; a tracer that keeps it open is not waited for. */
async function finalSegment(socket: net.Socket): Promise<void> {
  await once(socket, 'close', { signal: AbortSignal.timeout(2_000) }).catch(() => socket.destroy());
}

function count(chunks: readonly Buffer[], seconds: number, fromVirtualNs: number): Recorded {
  const decoder = new TracerFrameDecoder();
  const segments: Segment[] = chunks.flatMap((chunk) => decoder.push(chunk));
  const encoder = new WireEncoder({ columnar: true });
  const sum = (of: (segment: Segment) => number): number => segments.reduce((total, next) => total + of(next), 0);
  return {
    seconds,
    rawBytes: sum(({ payload }) => payload.length),
    wireBytes: sum((segment) => encoder.encode(segment).bytes.length),
    events: sum(({ events }) => events),
    virtualNs: (segments.at(-1)?.virtualNs ?? fromVirtualNs) - fromVirtualNs,
  };
}
