// What a stopped machine's guest sees on its disks, digested on both hosts at the log's last instruction. The top layers are frozen
// for it: that writes out what QEMU still holds of them, and leaves both hosts with the same frozen layers.
import { rm } from 'node:fs/promises';
import { contentDigest, prepareOverlays, snapshot, type OverlayPlan } from '../disk/index.js';
import { readDisks, writeDisks, type Machine } from '../machine/index.js';
import { xxh128 } from '../native/index.js';

export class DiskWitness {
  private constructor(
    private readonly machine: Machine,
    private readonly qemuImg: string,
    private readonly plan: OverlayPlan,
  ) {}

  /** Makes ready while there is time; null for a machine without disks. @throws TrmigError E_DISKS, E_QEMU_IMG, E_QMP_* */
  static async prepare(machine: Machine, qemuImg: string): Promise<DiskWitness | null> {
    const { paths } = machine;
    const disks = await readDisks(paths);
    if (disks === null) return null;
    const plan = await machine.withQmp((qmp) => prepareOverlays({ qmp, paths, disks, qemuImg }));
    return new DiskWitness(machine, qemuImg, plan);
  }

  /** The guest stands at the instruction in question, its disks at rest. @throws TrmigError E_QMP_* */
  async freeze(): Promise<void> {
    await this.machine.withQmp((qmp) => snapshot(qmp, this.plan));
  }

  /** Of all disks as they were frozen; takes as long as reading them. @throws TrmigError E_QEMU_IMG, E_FILE_ACCESS */
  async digest(): Promise<string> {
    const digests: string[] = [];
    for (const disk of this.plan.before) {
      digests.push((await contentDigest(this.qemuImg, disk, this.machine.paths.layers)).digest);
    }
    return xxh128(Buffer.from(digests.join(' ')));
  }

  /** The machine went on elsewhere and its QEMU has ended: the frozen layers are the last. @throws TrmigError E_DISKS */
  async remove(): Promise<void> {
    await writeDisks(this.machine.paths, this.plan.before);
    for (const { layer } of this.plan.added) await rm(layer.file, { force: true });
  }
}
