// The machine on its way in, as this host has it: admitted, its QEMU started with -S, its disks put together, announced or
// cleared away. The session (destination.ts) says when.
// Invariants: what can fail fails before the source touches its guest: QEMU stands with every nic and every top layer open;
// what the arrival made goes again unless the machine becomes live here.

import { TrmigError } from '../errors.js';
import { checkSameBlocks, type ImageProcess } from '../checkpoint/index.js';
import { qemuStopMsMax } from '../limits.js';
import {
  Machine,
  parseForeignSpec,
  type FrozenImage,
  type Home,
  type MachineSpec,
  type QmpClient,
} from '../machine/index.js';
import { digestBlocks } from '../native/index.js';
import type { OfferFrame } from '../wire/frames.js';
import type { DiskWitness } from './disk-witness.js';
import { announce } from './announce.js';
import { ArrivingDisks } from './arriving-disks.js';
import { beginArrival, clearAbandoned, endArrival } from './arrival.js';
import { checkNamedFiles } from './named-files.js';
import { checkRoom } from './room.js';
import { SessionJournal } from './session-journal.js';

export interface ArrivalOptions {
  readonly home: Home;
  /** Bytes of memory that this host has to give; what the kernel says when left out. */
  readonly memoryToGive?: (() => Promise<number>) | undefined;
  /** Folders in which the files that a machine names must lie; anywhere when left out. */
  readonly files?: readonly string[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

export class ArrivingMachine {
  #machine: Machine | null = null;
  #target: ImageProcess | null = null;
  #monitor: QmpClient | null = null;
  #witness: DiskWitness | null = null;
  #arriving = false;

  private constructor(
    readonly offer: OfferFrame,
    readonly options: ArrivalOptions,
    readonly spec: MachineSpec,
    readonly journal: SessionJournal,
    readonly disks: ArrivingDisks,
  ) {}

  /**
   * Takes an offer if this host can: nothing of the machine is here yet.
   * @throws TrmigError E_SPEC, E_PROFILE, E_FILES_REFUSED, E_DISKS, E_NO_ROOM, E_BUSY, E_UNSETTLED, E_HOME, E_JOURNAL_*
   */
  static async admit(offer: OfferFrame, peer: string, options: ArrivalOptions): Promise<ArrivingMachine> {
    const { home, memoryToGive, files } = options;
    const { machine: name, migrationId } = offer;
    const spec = parseForeignSpec(offer.spec, "the source's spec");
    if (spec.name !== name) throw new TrmigError('E_SPEC', `the spec is of '${spec.name}', the offer of '${name}'`);
    await checkRoom(spec.memoryBytes, memoryToGive);
    if (files !== undefined) await checkNamedFiles(spec, offer.disks, files);
    const paths = home.machine(name);
    await home.make(home.machines);
    await home.make(paths.folder);
    await clearAbandoned(home, name);
    const disks = await ArrivingDisks.admit(paths, spec, offer.disks);
    const journal = await SessionJournal.open(paths.ownership, { machine: name, migrationId, peer }, false);
    journal.epoch = Math.max(journal.epoch, offer.epoch ?? 0);
    return new ArrivingMachine(offer, options, spec, journal, disks);
  }

  /** The started machine. */
  get machine(): Machine {
    if (this.#machine === null) throw new TrmigError('E_INTERNAL', `'${this.spec.name}' is not started yet`);
    return this.#machine;
  }

  /** Its QEMU's memory, for the base image. */
  get target(): ImageProcess {
    if (this.#target === null) throw new TrmigError('E_INTERNAL', `'${this.spec.name}' is not started yet`);
    return this.#target;
  }

  /**
   * Starts its QEMU, stopped, and compares it with the source's.
   * @throws TrmigError E_QEMU_VERSION, E_IMAGE_MISMATCH, and what Machine.start throws
   */
  async launch(): Promise<void> {
    const { home, signal } = this.options;
    this.#arriving = true;
    await beginArrival(home, this.spec.name);
    const disks = await this.disks.prepare();
    this.#machine = await Machine.start(this.spec, { home, paused: true, disks, ...(signal && { signal }) });
    const hello = await this.#machine.tracer.hello();
    if (hello.qemu !== this.offer.qemu || hello.target !== this.offer.target) {
      throw new TrmigError('E_QEMU_VERSION', `the source runs QEMU ${this.offer.qemu}, this host ${hello.qemu}`, {
        hint: 'Install the same QEMU on both hosts.',
        facts: { source: this.offer.qemu, destination: hello.qemu },
      });
    }
    this.#target = { pid: hello.pid, blocks: hello.blocks };
    checkSameBlocks(this.offer.blocks, hello.blocks);
  }

  /** Prepares what going live will need, while there is time. @throws TrmigError E_QMP_*, E_DISKS, E_QEMU_IMG */
  async makeReady(): Promise<void> {
    if (this.offer.verify) this.#witness = await this.disks.witness(this.machine);
    await this.#openMonitor();
  }

  async #openMonitor(): Promise<void> {
    if (this.spec.nics.length > 0) this.#monitor = await this.machine.openQmp();
  }

  /** At the last instruction, before it goes live: with `verify`, its disks are frozen to be digested. @throws TrmigError E_QMP_* */
  async freezeDisks(): Promise<void> {
    if (this.#witness === null) return;
    // QEMU's monitor serves one client at a time.
    this.#monitor?.close();
    await this.#witness.freeze();
    await this.#openMonitor();
  }

  /**
   * Digests its frozen memory, which is given back then, and its disks as they were frozen ('' for none).
   * @throws TrmigError E_IMAGE_READ, E_QEMU_IMG, E_FILE_ACCESS
   */
  async digestFrozen({ pid, blocks }: FrozenImage): Promise<{ readonly ram: string; readonly disks: string }> {
    try {
      return { ram: await digestBlocks(pid, blocks), disks: (await this.#witness?.digest()) ?? '' };
    } finally {
      await this.machine.tracer.thaw(pid).catch(() => undefined);
    }
  }

  /** It is live here: the network is told. */
  announce(): void {
    if (this.#monitor !== null) void announce(this.#monitor);
  }

  /** Ends its QEMU: it does not become live here. */
  async discard(): Promise<void> {
    await this.#machine?.stop({ graceful: false, timeoutMs: qemuStopMsMax });
    await this.disks.discard();
  }

  /** It is live here: what may be done in peace is begun. */
  async settle(): Promise<void> {
    this.#monitor?.close(); // It serves one client at a time.
    await this.disks.settle(this.machine).catch(() => undefined); // The chain stays longer, until the next arrival.
  }

  /** The session is over: closes what is open. The machine, if it is live, runs on. */
  async close(): Promise<void> {
    await this.journal.close();
    this.#monitor?.close();
    this.#machine?.close();
    if (this.#arriving) await endArrival(this.options.home, this.spec.name).catch(() => undefined);
  }
}
