// Merges the old frozen layers of a disk into the lowest of them, while the guest runs on, dormant: QEMU copies what the upper
// ones hold down and then does without them. Each checkpoint adds a layer, and reading through many costs the guest.
//
// The newest ones stay as they are. They are what has changed since the machine left the hosts that it was on before: such a
// host has the layers beneath, and needs only these when the machine returns. So layers are merged in batches, and what
// lies lowest, which is the largest, is seldom changed and seldom read anew for its digest.
//
// Whoever dies, the chain in disks.json stays right:
//   trmig            QEMU's job goes on; the next `reconcile` finds what it has done
//   QEMU, midway     the lowest layer holds a part of what the layers above it hold still
//   QEMU, after      it holds all of it; the layers above say the same until `reconcile` takes them out
// A layer that is being merged into changes, also by a merge that is cancelled, and so does the header of the one above those that
// are merged: what is on record of both files is forgotten before.
//
// While a machine is armed nothing may go on under its disks: `cancelFlatten` first.
import { z } from 'zod';
import { TrmigError, throwIfAborted } from '../errors.js';
import { flattenBytesPerSecond, flattenPollMs, recentLayers } from '../limits.js';
import {
  layerNode,
  replayNode,
  writeDisks,
  type Layer,
  type MachineDisk,
  type MachinePaths,
  type QmpClient,
} from '../machine/index.js';
import { reconcile, type Reconciled } from './reconcile.js';

export interface FlattenOptions {
  readonly qmp: QmpClient;
  readonly paths: MachinePaths;
  /** So many of the newest frozen layers stay as they are, and fewer are not merged at once. */
  readonly recent?: number;
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
  recent: number = recentLayers,
): { readonly into: Layer; readonly merged: readonly Layer[]; readonly above: Layer } | null {
  if (disk.readonly) return null;
  // Backing files are not the machine's own.
  const lowest = disk.layers.findIndex(({ origin }) => origin !== 'backing');
  const frozen = disk.layers.slice(lowest + 1, -1);
  const merged = frozen.slice(0, Math.max(0, frozen.length - recent)).reverse();
  const into = disk.layers[lowest];
  const above = disk.layers[lowest + 1 + merged.length];
  const enough = lowest >= 0 && merged.length >= Math.max(1, recent);
  return enough && into !== undefined && above !== undefined ? { into, merged, above } : null;
}

const jobId = (disk: number): string => `flatten-disk${disk}`;

/**
 * Begins to merge, on every disk that has anything to merge; QEMU goes on by itself. Returns how many disks. The machine is
 * dormant, and no merge is under way.
 * @throws E_QMP_*, E_DISKS, E_FILE_ACCESS
 */
export async function startFlatten(options: FlattenOptions): Promise<number> {
  const { qmp, paths, recent, bytesPerSecond = flattenBytesPerSecond, signal } = options;
  const { disks } = await reconcile(qmp, paths);
  const plans = disks.map((disk) => flattenPlan(disk, recent));
  const changing = new Set(plans.flatMap((plan) => (plan === null ? [] : [plan.into, plan.above])));
  if (changing.size > 0) {
    const forget = (layer: Layer): Layer => (changing.has(layer) ? { ...layer, frozen: undefined } : layer);
    await writeDisks(
      paths,
      disks.map((disk) => ({ ...disk, layers: disk.layers.map(forget) })),
    );
  }
  let started = 0;
  for (const [i, plan] of plans.entries()) {
    if (plan === null) continue;
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
