// A guest's disk moved by QEMU's own means, as libvirt does it for storage that is not shared: the destination exports its
// empty disk by NBD, a mirror job of the source copies everything there and goes on copying what is written; with the guest
// stopped at the switchover the job is ended, and the destination's export with it.
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Qemu } from './guest.js';
import type { Host } from './hosts.js';
import { stockDiskNode } from './stock.js';

const port = 10_809;
const [job, exported, target] = ['mirror', 'disk', 'target'];
const pollMs = 2;

const jobsSchema = z.array(
  z.object({ device: z.string(), offset: z.number(), ready: z.boolean(), status: z.string() }),
);

export class Mirror {
  #bytesWhenReady = 0;
  #bytes = 0;

  private constructor(
    private readonly source: Qemu,
    private readonly destination: Qemu,
  ) {}

  /** Starts to copy the disk. */
  static async start(source: Qemu, destination: Qemu, to: Host): Promise<Mirror> {
    const server = { host: to.address, port: String(port) };
    await destination.qmp.execute('nbd-server-start', { addr: { type: 'inet', data: server } });
    const node = { 'node-name': stockDiskNode, name: exported, writable: true };
    await destination.qmp.execute('block-export-add', { type: 'nbd', id: exported, ...node });
    const nbd = { driver: 'nbd', 'node-name': target, server: { type: 'inet', ...server }, export: exported };
    await source.qmp.execute('blockdev-add', { ...nbd, discard: 'unmap' });
    // By default it copies 64 KiB for each block of 4 KiB that the guest writes.
    const mirror = { 'job-id': job, device: stockDiskNode, target, sync: 'full', granularity: 4096 };
    await source.qmp.execute('blockdev-mirror', mirror);
    return new Mirror(source, destination);
  }

  /** Waits until the destination has everything, but for what is just being written; false when that takes too long. */
  async ready(untilMs: number): Promise<boolean> {
    for (;;) {
      const [state] = await this.#jobs();
      if (state === undefined) throw new Error("QEMU's mirror of the disk has ended");
      this.#bytesWhenReady = state.offset;
      if (state.ready) return true;
      if (performance.now() > untilMs) return false;
      await sleep(pollMs);
    }
  }

  /** With the guest stopped: copies the rest, and lets the destination have its disk for itself. */
  async finish(): Promise<void> {
    // Of a job that is ready this is no abort: it ends when both disks are equal.
    await this.source.qmp.execute('block-job-cancel', { device: job });
    for (;;) {
      const [state] = await this.#jobs();
      if (state === undefined) break;
      this.#bytes = state.offset;
      await sleep(pollMs);
    }
    await this.destination.qmp.execute('block-export-del', { id: exported, mode: 'hard' });
  }

  /** Ends it without a switchover; the source's guest goes on with its own disk. */
  async abort(): Promise<void> {
    const [state] = await this.#jobs();
    this.#bytes = state?.offset ?? this.#bytesWhenReady;
    if (state !== undefined) await this.source.qmp.execute('block-job-cancel', { device: job, force: true });
  }

  /** What was copied after everything had been, bytes. */
  afterReady(): number {
    return Math.max(0, this.#bytes - this.#bytesWhenReady);
  }

  async #jobs(): Promise<z.infer<typeof jobsSchema>> {
    return this.source.qmp.query('query-block-jobs', jobsSchema);
  }
}
