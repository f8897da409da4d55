// The disks of a recorded machine. At the checkpoint they are frozen as for a migration; what the guest saw on each then is
// copied into the recording, as one qcow2 image that lies on no other file. What the guest writes later is not recorded: the
// replay makes it anew.
// Invariants: an image out of a recording is foreign: it is judged before QEMU or qemu-img sees it, and lies in the recording
// whatever its manifest says; a replay writes to overlays in its machine's folder and leaves the recording as it is.
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { TrmigError } from '../errors.js';
import {
  checkReceivedLayer,
  createOverlay,
  findQemuImg,
  makeLayerFolder,
  newTopLayer,
  removeGarbage,
  saveDisk,
  startFlatten,
} from '../disk/index.js';
import { qcow2HeaderBytesMax } from '../limits.js';
import type { RecordingWriter } from '../log/index.js';
import { fileError, openFile, publish } from '../log/files.js';
import {
  findQemu,
  parseQcow2Header,
  readDisks,
  readStart,
  writeDisks,
  type Layer,
  type Machine,
  type MachineDisk,
  type MachinePaths,
  type MachineSpec,
} from '../machine/index.js';
import { diskPart } from './recording-folder.js';

/**
 * Copies the disks of a machine whose checkpoint has just frozen them.
 * @throws TrmigError E_QEMU_IMG, E_DISK_FULL, E_FILE_ACCESS, E_ABORTED
 */
export async function saveDisks(machine: Machine, writer: RecordingWriter, signal: AbortSignal): Promise<void> {
  const disks = machine.spec.disks.length === 0 ? [] : ((await readDisks(machine.paths)) ?? []);
  const qemuImg = disks.length === 0 ? '' : await findQemuImg(await findQemu(machine.spec));
  for (const [i, disk] of disks.entries()) {
    const frozen = disk.readonly ? disk : { ...disk, layers: disk.layers.slice(0, -1) };
    const path = join(writer.dir, diskPart(i));
    const partial = `${path}.partial`;
    try {
      await (await openFile(partial, 'w')).close(); // qemu-img would make it readable for all
      await saveDisk(qemuImg, frozen, partial, { signal });
      const file = await openFile(partial, 'r');
      await file.sync().finally(() => file.close());
      await publish(partial, path);
    } catch (thrown) {
      await rm(partial, { force: true }).catch(() => undefined);
      throw fileError(thrown, path);
    }
    await writer.addPart(diskPart(i), 'disk-layer', { signal });
  }
}

/** The machine is dormant again: what the checkpoint has put on its disks is merged, in the background. Never throws. */
export async function settleDisks(machine: Machine): Promise<void> {
  try {
    const { spec, paths } = machine;
    if (spec.disks.length > 0) await machine.withQmp((qmp) => startFlatten({ qmp, paths }));
  } catch {
    // The chain stays longer, until the next checkpoint.
  }
}

/** What a replay's QEMU is started with: each recorded image, and above those that are written an overlay of the machine's own. */
export class RecordedDisks {
  private constructor(
    readonly chains: readonly MachineDisk[],
    private readonly paths: MachinePaths,
    /** disks.json as it was. */
    private readonly before: readonly MachineDisk[] | null,
  ) {}

  /**
   * Makes the overlays.
   * @param base where the recorded images lie, in the spec's order
   * @param returning the machine may have been here before and left: what it left then has no use when it lives here
   * @throws TrmigError E_MACHINE_EXISTS for a machine that has disks, E_LAYER_REFUSED for an image that is not what a recording
   *   holds, E_QEMU_IMG, E_DISK_FULL, E_FILE_ACCESS
   */
  static async prepare(
    base: readonly string[],
    spec: MachineSpec,
    paths: MachinePaths,
    returning: boolean,
  ): Promise<RecordedDisks> {
    if (base.length === 0) return new RecordedDisks([], paths, null);
    const before = await readDisks(paths);
    if (before !== null && !(returning && before.every(({ left }) => left === true))) {
      throw new TrmigError('E_MACHINE_EXISTS', `there is a machine '${spec.name}' with disks of its own`, {
        hint: 'Choose another --name, or remove it with `trmig rm`.',
        facts: { name: spec.name },
      });
    }
    const qemuImg = await findQemuImg(await findQemu(spec));
    const disks: MachineDisk[] = [];
    await makeLayerFolder(paths);
    try {
      for (const [i, disk] of spec.disks.entries()) {
        const file = base[i]!;
        const image: Layer = {
          id: randomUUID(),
          file,
          format: 'qcow2',
          includes: [],
          origin: 'backing',
          shared: false,
        };
        const bytes = await judged(image);
        const below: MachineDisk = { spec: disk, readonly: disk.readonly, layers: [image] };
        const top = newTopLayer(paths, below);
        if (!disk.readonly) await createOverlay(qemuImg, top.file, bytes);
        disks.push(disk.readonly ? below : { ...below, layers: [image, top] });
      }
      return new RecordedDisks(disks, paths, before);
    } catch (thrown) {
      await new RecordedDisks(disks, paths, before).discard();
      throw thrown;
    }
  }

  /** The machine lives here: what an earlier stay has left goes. @throws TrmigError E_FILE_ACCESS */
  async settle(): Promise<void> {
    if (this.before !== null) await removeGarbage(this.paths);
  }

  /** It does not, and its QEMU is gone: all is as it was. Never throws. */
  async discard(): Promise<void> {
    if (this.chains.length === 0) return;
    if (this.before === null) await rm(this.paths.disks, { force: true }).catch(() => undefined);
    else await writeDisks(this.paths, this.before).catch(() => undefined);
    for (const { file, origin } of this.chains.flatMap(({ layers }) => layers)) {
      if (origin === 'made') await rm(file, { force: true }).catch(() => undefined);
    }
  }
}

/** The size of its disk. @throws TrmigError E_LAYER_REFUSED, E_FILE_ACCESS */
async function judged(image: Layer): Promise<number> {
  const header = parseQcow2Header((await readStart(image.file, qcow2HeaderBytesMax)) ?? Buffer.alloc(0));
  if (typeof header === 'string') {
    throw new TrmigError('E_LAYER_REFUSED', `${image.file} is refused: ${header}`, { facts: { file: image.file } });
  }
  await checkReceivedLayer(image, header.virtualBytes);
  return header.virtualBytes;
}
