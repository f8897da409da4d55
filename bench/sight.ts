// What of a move is seen from outside: the guest's consoles on both hosts, and the clients that talk to it. Both tools are looked
// at in the same way, and nothing here asks them anything.
import os from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { outageBetween, stallDuring } from './beats.js';
import type { ClientProcess } from './client-process.js';
import { ConsoleWatch, rateOf } from './console.js';
import { guestNic, type Workload } from './guest.js';
import type { HostPair } from './hosts.js';
import { warmUpMs, type Outcome } from './outcome.js';
import { TcpClient } from './tcp-client.js';
import { connectUdp, type UdpReport } from './udp-client.js';

export type Seen = Pick<Outcome, 'downtimeMs' | 'beatDowntimeMs' | 'udpSilenceMs' | 'stallMs' | 'slowdown'>;

export interface Move {
  readonly beganMs: number;
  readonly endedMs: number;
  readonly arrived: boolean;
}

const bootMsMax = 60_000;
/** The guest is watched for so long after a move: what faults in its pages after the handover stalls then. */
const watchMs = 1_000;
const firstBeatMsMax = 5_000;
/** In less the units of work are too few to tell how fast they came. */
const slowdownMsMin = 1_000;
/** These do no work of their own that could be slowed down. */
const workless: readonly Workload[] = ['idle', 'echo'];

interface Clients {
  readonly tcp: TcpClient;
  readonly udp: ClientProcess<UdpReport>;
}

export class Sight {
  readonly #source: ConsoleWatch;
  readonly #destination: ConsoleWatch;
  #clients: Clients | null = null;

  /** @param logs the console logs on the two hosts; the destination's need not exist yet */
  constructor(
    private readonly workload: Workload,
    logs: { readonly source: string; readonly destination: string },
  ) {
    this.#source = new ConsoleWatch(logs.source, workload);
    this.#destination = new ConsoleWatch(logs.destination, workload);
  }

  /** Waits until the guest works. @throws when it does not boot */
  async booted(): Promise<void> {
    await this.#source.waitFor(1, bootMsMax);
  }

  /** Lets the guest run for a while before it is moved, with its clients talking to it. */
  async warmUp({ client }: HostPair): Promise<void> {
    if (this.workload === 'echo') {
      const { address, port } = guestNic;
      this.#clients = {
        tcp: await TcpClient.connect(client, address, port),
        udp: await connectUdp(client, address, port),
      };
    }
    await sleep(warmUpMs);
  }

  /**
   * Watches closely from here to the end: this thread goes before all that the move keeps busy, or it would see a beat when a core
   * is free for it. To be called when nothing more will be started for the move: a child would inherit the priority.
   */
  attend(): void {
    os.setPriority(os.constants.priority.PRIORITY_HIGH);
  }

  /** What a move looked like. @throws when the guest is not well, or its connection did not survive */
  async end(move: Move): Promise<Seen> {
    if (move.arrived) await this.#firstBeat();
    await sleep(watchMs);
    os.setPriority(os.constants.priority.PRIORITY_NORMAL);
    const [tcp, udp] = await Promise.all([this.#clients?.tcp.end(), this.#clients?.udp.end()]);
    this.#source.check();
    this.#destination.check();
    if (tcp?.error) throw new Error(`the guest's connection did not survive: ${tcp.error}`);
    const { beganMs, endedMs } = move;
    const watched = { beganMs, endedMs: endedMs + watchMs };
    const [before, after] = [this.#source.beats, this.#destination.beats];
    const outage = move.arrived ? outageBetween(before, after, watched) : null;
    const beatDowntimeMs = outage?.outageMs ?? null;
    return {
      downtimeMs: tcp === undefined || !move.arrived ? beatDowntimeMs : tcp.longestMs,
      beatDowntimeMs,
      udpSilenceMs: move.arrived ? (udp?.silenceMs ?? null) : null,
      stallMs: stallDuring([...before, ...after], watched),
      slowdown: this.#slowdown(beganMs, endedMs),
    };
  }

  async close(): Promise<void> {
    os.setPriority(os.constants.priority.PRIORITY_NORMAL);
    await Promise.all([this.#source.close(), this.#destination.close()]);
  }

  async #firstBeat(): Promise<void> {
    const until = performance.now() + firstBeatMsMax;
    while (this.#destination.beats.length === 0) {
      if (performance.now() > until) throw new Error('the guest gives no sign of life at its destination');
      await sleep(10);
    }
  }

  #slowdown(beganMs: number, endedMs: number): number | null {
    if (workless.includes(this.workload) || endedMs - beganMs < slowdownMsMin) return null;
    const lines = [...this.#source.lines, ...this.#destination.lines];
    const before = rateOf(lines, beganMs - warmUpMs / 2, beganMs);
    const during = rateOf(lines, beganMs, endedMs);
    return before === null || during === null || before === 0 ? null : 1 - during / before;
  }
}
