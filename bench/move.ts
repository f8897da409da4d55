// One move: hosts made for it alone, the guest moved by one of the contenders, everything gone again.
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { makeHosts } from './hosts.js';
import type { Outcome } from './outcome.js';
import { moveByQemu } from './qemu.js';
import type { Case } from './results.js';
import { moveByTrmig } from './trmig.js';

/** @throws when the move broke, with where its files are; one that does not converge is an outcome */
export async function moveOnce(of: Case, memory: string): Promise<Outcome> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'trmig-bench-'));
  const hosts = await makeHosts(of.link);
  const options = { hosts, workload: of.workload, memory, folder };
  try {
    const outcome = of.tool === 'qemu' ? await moveByQemu({ ...options, mode: of.mode }) : await moveByTrmig(options);
    await rm(folder, { recursive: true, force: true });
    return outcome;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`${why} (its files are in ${folder})`, { cause });
  } finally {
    await hosts.close();
  }
}
