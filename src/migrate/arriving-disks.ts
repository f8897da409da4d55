// The destination's disks: what it kept of the machine from before, what comes over the link, a new top layer on each.
// Invariants: QEMU has every top layer open before the source touches its guest; no layer is opened before all of it is here
// and verified; an arrival that fails leaves what was kept, and nothing else.

import { rm, statfs } from 'node:fs/promises';
import path from 'node:path';
import { TrmigError } from '../errors.js';
import {
  arrivingDisk,
  attachLayers,
  checkSharedLayers,
  createOverlay,
  findQemuImg,
  keptLayers,
  makeLayerFolder,
  newTopLayer,
  recordFrozen,
  removeGarbage,
  startFlatten,
} from '../disk/index.js';
import {
  findQemu,
  readDisks,
  writeDisks,
  type Layer,
  type Machine,
  type MachineDisk,
  type MachinePaths,
  type MachineSpec,
} from '../machine/index.js';
import type { LayerBeginFrame, LayerChunkFrame, LayerEndFrame } from '../wire/frames.js';
import { parseDiskOffer, type OfferedDisk } from './disk-offer.js';
import { DiskWitness } from './disk-witness.js';
import { LayerTaker } from './layer-frames.js';

interface Arriving {
  readonly offered: OfferedDisk;
  /** As it will be here, the new top layer included. */
  readonly disk: MachineDisk;
  readonly toShip: readonly Layer[];
}

export class ArrivingDisks {
  readonly #taker: LayerTaker;
  /** '' without disks. */
  #qemuImg = '';

  private constructor(
    private readonly paths: MachinePaths,
    private readonly spec: MachineSpec,
    /** disks.json as it was. */
    private readonly before: readonly MachineDisk[] | null,
    private readonly arriving: readonly Arriving[],
  ) {
    const expected = arriving.map(({ toShip, offered: { virtualBytes } }) =>
      toShip.map((layer) => ({ layer, virtualBytes })),
    );
    this.#taker = new LayerTaker(expected.flat());
  }

  /**
   * Judges the offer's disks and compares them with what this host kept. Nothing is written yet.
   * @throws TrmigError E_DISKS, E_NO_ROOM, E_FILE_ACCESS
   */
  static async admit(paths: MachinePaths, spec: MachineSpec, offer: string): Promise<ArrivingDisks> {
    const offered = parseDiskOffer(offer, spec.disks.length);
    for (const { disk, virtualBytes } of offered) await checkSharedLayers(disk, virtualBytes);
    const before = await readDisks(paths);
    const kept = await keptLayers(paths);
    const arriving = offered.map((one, i): Arriving => {
      const { disk, toShip } = arrivingDisk(paths, one.disk, kept[i] ?? []);
      const top = newTopLayer(paths, one.disk, one.top);
      return { offered: one, disk: { ...disk, layers: [...disk.layers, top] }, toShip };
    });
    const result = new ArrivingDisks(paths, spec, before, arriving);
    await result.#checkRoom();
    return result;
  }

  async #checkRoom(): Promise<void> {
    const bytes = this.arriving.reduce((sum, { offered, toShip }) => {
      const shipped = offered.disk.layers.map(({ id }, i) =>
        toShip.some((l) => l.id === id) ? offered.layerBytes[i]! : 0,
      );
      return shipped.reduce((all, one) => all + one, sum);
    }, 0);
    if (bytes === 0) return;
    const { bavail, bsize } = await statfs(this.paths.folder);
    const availableBytes = bavail * bsize;
    if (bytes <= availableBytes) return;
    const what = `the machine's disks have ${bytes} bytes, this host ${availableBytes} to give (${this.paths.folder})`;
    throw new TrmigError('E_NO_ROOM', what, { facts: { bytes, availableBytes } });
  }

  /** Layers that need not be sent. */
  get have(): string[] {
    const missing = new Set(this.arriving.flatMap(({ toShip }) => toShip.map(({ id }) => id)));
    return this.arriving
      .flatMap(({ offered }) => offered.disk.layers.map(({ id }) => id))
      .filter((id) => !missing.has(id));
  }

  /** Makes the new top layers. What Machine.start needs of the disks. @throws TrmigError E_QEMU_IMG, E_DISK_FULL, E_FILE_ACCESS */
  async prepare(): Promise<{ readonly chains: readonly MachineDisk[]; readonly topsOnly: boolean }> {
    if (this.arriving.length > 0) {
      this.#qemuImg = await findQemuImg(await findQemu(this.spec));
      await makeLayerFolder(this.paths);
      await removeGarbage(this.paths);
      for (const { disk, offered } of this.arriving) {
        await createOverlay(this.#qemuImg, disk.layers.at(-1)!.file, offered.virtualBytes);
      }
    }
    return { chains: this.arriving.map(({ disk }) => disk), topsOnly: true };
  }

  /** A layer's first frame. @throws TrmigError as LayerTaker.begin */
  begin(frame: LayerBeginFrame): Promise<void> {
    return this.#taker.begin(frame);
  }

  /** @throws TrmigError as LayerTaker.take */
  take(frame: LayerChunkFrame): Promise<void> {
    return this.#taker.take(frame);
  }

  /** @throws TrmigError as LayerTaker.end */
  end(frame: LayerEndFrame): Promise<void> {
    return this.#taker.end(frame);
  }

  /** Whether all that was to come is here. */
  get whole(): boolean {
    return this.#taker.whole;
  }

  /** All layers are here: puts them beneath the tops. @throws TrmigError E_DISKS, E_QMP_* */
  async attach(machine: Machine): Promise<void> {
    if (this.arriving.length === 0) return;
    await recordFrozen(this.paths, this.#taker.taken);
    await machine.withQmp((qmp) =>
      attachLayers(
        qmp,
        this.arriving.map(({ disk }) => disk),
      ),
    );
  }

  /** What can tell later what the guest saw on them; null when there are none. @throws TrmigError E_DISKS, E_QMP_* */
  async witness(machine: Machine): Promise<DiskWitness | null> {
    return this.arriving.length === 0 ? null : DiskWitness.prepare(machine, this.#qemuImg);
  }

  /**
   * The guest runs here: removes what was kept of it and is of no use now, and begins to merge old layers, in the background of
   * QEMU. @throws TrmigError E_QMP_*, E_DISKS, E_FILE_ACCESS
   */
  async settle(machine: Machine): Promise<void> {
    if (this.arriving.length === 0) return;
    await removeGarbage(this.paths);
    await machine.withQmp((qmp) => startFlatten({ qmp, paths: this.paths }));
  }

  /** The machine does not become live here, and its QEMU is gone: what was kept before stays. */
  async discard(): Promise<void> {
    await this.#taker.discard();
    if (this.arriving.length === 0) return;
    if (this.before === null) await rm(this.paths.disks, { force: true });
    else await writeDisks(this.paths, this.before);
    await removeGarbage(this.paths);
    for (const { disk } of this.arriving) {
      const { file } = disk.layers.at(-1)!;
      if (path.dirname(file) !== this.paths.layers) await rm(file, { force: true });
    }
  }
}
