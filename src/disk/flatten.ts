// Merges the frozen layers of a disk into the lowest of them, while the guest runs on, dormant: QEMU copies what the upper ones
// hold down and then does without them. Each checkpoint adds a layer, and reading through many costs the guest.
//
// Whoever dies, the chain in disks.json stays right:
//   trmig            QEMU's job goes on; the next `reconcile` finds what it has done
//   QEMU, midway     the lowest layer holds a part of what the layers above it hold still
//   QEMU, after      it holds all of it; the layers above say the same until `reconcile` takes them out
// A layer that is being merged into changes, so its recorded digest no longer fits its file: `keptLayers` sees that.
//
// While a machine is armed nothing may go on under its disks: `cancelFlatten` first.
import path from 'node:path';
import { z } from 'zod';
import { TrmigError, throwIfAborted } from '../errors.js';
import { flattenBytesPerSecond, flattenPollMs } from '../limits.js';
import {
  layerNode,
  replayNode,
  writeSmallFile,
  type Layer,
  type MachineDisk,
  type MachinePaths,
  type QmpClient,
} from '../machine/index.js';
import { makeLayerFolder } from './overlay.js';
import { extentsOf, type Extent } from './qemu-img.js';
import { reconcile, type Reconciled } from './reconcile.js';

export interface FlattenOptions {
  readonly qmp: QmpClient;
  readonly paths: MachinePaths;
  readonly disks: readonly MachineDisk[];
  readonly qemuImg: string;
  /** Layers that stay as they are, with all below them: another host has them, and would need less when the machine returns. */
  readonly keep?: ReadonlySet<string>;
  readonly bytesPerSecond?: number;
  readonly signal?: AbortSignal;
}

export interface FlattenProgress {
  readonly disk: number;
  /** What QEMU has gone through, in bytes of the disk. */
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/** What would be merged on one disk: the layers, top to bottom, and what swallows them; null when there is nothing to do. */
export function flattenPlan(
  disk: MachineDisk,
  keep: ReadonlySet<string> = new Set(),
): { readonly into: Layer; readonly merged: readonly Layer[] } | null {
  if (disk.readonly) return null;
  const kept = disk.layers.findLastIndex(({ id, includes }) => keep.has(id) || includes.some((one) => keep.has(one)));
  // Backing files are not the machine's own.
  const lowest = disk.layers.findIndex(({ origin }, i) => origin !== 'backing' && i > kept);
  const merged = disk.layers.slice(lowest + 1, -1).reverse();
  const into = disk.layers[lowest];
  return lowest < 0 || into === undefined || merged.length === 0 ? null : { into, merged };
}

const jobId = (disk: number): string => `flatten-disk${disk}`;

/**
 * Begins to merge, on every disk that has anything to merge; QEMU goes on by itself. Returns how many disks.
 * @throws E_QMP_*, E_QEMU_IMG, E_FILE_ACCESS, E_DISK_FULL
 */
export async function startFlatten(options: FlattenOptions): Promise<number> {
  const { qmp, paths, disks, qemuImg, keep, bytesPerSecond = flattenBytesPerSecond, signal } = options;
  let started = 0;
  for (const [i, disk] of disks.entries()) {
    const plan = flattenPlan(disk, keep);
    if (plan === null) continue;
    await makeLayerFolder(paths);
    for (const layer of plan.merged) await noteExtents(paths, qemuImg, layer, signal);
    const command = {
      'job-id': jobId(i),
      device: replayNode(i),
      'base-node': layerNode(plan.into.id),
      'top-node': layerNode(plan.merged[0]!.id),
      // The name that QEMU writes into the layer above: none.
      'backing-file': '',
      speed: bytesPerSecond,
      'auto-dismiss': false,
    };
    await qmp.execute('block-commit', command, { signal });
    started++;
  }
  return started;
}

/**
 * Waits for the merges to end, whoever began them, and puts what they did on record.
 * @throws E_DISK_JOB when one failed (its disk is as it was); E_ABORTED: they go on; E_QMP_*
 */
export async function finishFlatten(
  qmp: QmpClient,
  paths: MachinePaths,
  options: { readonly signal?: AbortSignal; readonly onProgress?: (progress: FlattenProgress) => void } = {},
): Promise<Reconciled> {
  const { signal, onProgress } = options;
  const failures: string[] = [];
  for (;;) {
    const jobs = await flattenJobs(qmp);
    for (const job of jobs) {
      onProgress?.({ disk: job.disk, doneBytes: job['current-progress'], totalBytes: job['total-progress'] });
      if (job.status !== 'concluded') continue;
      if (job.error !== undefined) failures.push(`disk ${job.disk}: ${job.error}`);
      await qmp.execute('job-dismiss', { id: job.id });
    }
    if (jobs.every(({ status }) => status === 'concluded')) break;
    throwIfAborted(signal, 'waiting for layers to be merged');
    await new Promise((resolve) => setTimeout(resolve, flattenPollMs));
  }
  const reconciled = await reconcile(qmp, paths);
  if (failures.length > 0) throw new TrmigError('E_DISK_JOB', failures.join('; '));
  return reconciled;
}

/**
 * Ends the merges that are under way; what they have copied does no harm. One that ended by itself counts.
 * Comes before arming, and before anything else that changes layers.
 * @throws E_QMP_*, E_DISKS, E_FILE_ACCESS
 */
export async function cancelFlatten(qmp: QmpClient, paths: MachinePaths): Promise<Reconciled> {
  for (const { id, status } of await flattenJobs(qmp)) {
    if (status === 'concluded') continue;
    await qmp.execute('job-cancel', { id }).catch((cause: unknown) => {
      // It may have ended in between.
      if (!(cause instanceof TrmigError) || cause.code !== 'E_QMP_COMMAND') throw cause;
    });
  }
  return finishFlatten(qmp, paths).catch(async (cause: unknown) => {
    if (cause instanceof TrmigError && cause.code === 'E_DISK_JOB') return reconcile(qmp, paths);
    throw cause;
  });
}

const jobsSchema = z.array(
  z.object({
    id: z.string(),
    status: z.string(),
    'current-progress': z.number(),
    'total-progress': z.number(),
    error: z.string().optional(),
  }),
);

async function flattenJobs(qmp: QmpClient): Promise<(z.output<typeof jobsSchema>[number] & { disk: number })[]> {
  const jobs = await qmp.query('query-jobs', jobsSchema);
  return jobs.flatMap((job) => {
    const disk = /^flatten-disk(\d+)$/.exec(job.id)?.[1];
    return disk === undefined ? [] : [{ ...job, disk: Number(disk) }];
  });
}

/** Where the extents of a merged layer are kept: what has changed on the disk since the layer below it. */
export function extentsFile(paths: MachinePaths, layerId: string): string {
  return path.join(paths.layers, `${layerId}.extents.json`);
}

/**
 * Keeps what a layer changed before it is merged and can no longer be told apart: a host that has the layers below it needs
 * these extents only, should the machine return to it.
 */
async function noteExtents(
  paths: MachinePaths,
  qemuImg: string,
  layer: Layer,
  signal: AbortSignal | undefined,
): Promise<void> {
  const extents: Extent[] = await extentsOf(qemuImg, layer, { ...(signal && { signal }) });
  await writeSmallFile(extentsFile(paths, layer.id), JSON.stringify({ format: 1, layer: layer.id, extents }));
}
