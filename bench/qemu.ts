// QEMU's own live migration between the two hosts: stock QEMU, no plugin, the same guest and accelerator, nothing held back
// (bandwidth limited by the link alone, QEMU's default downtime limit of 300 ms).
import { setTimeout as sleep } from 'node:timers/promises';
import path from 'node:path';
import { z } from 'zod';
import { ConsoleWatch } from './console.js';
import { Qemu, type Workload } from './guest.js';
import { LINKS, type HostPair } from './hosts.js';
import { patienceMs, warmUpMs, type Outcome } from './outcome.js';
import { RamAccount } from './ram-account.js';

/** The ways of QEMU's own that can be compared, by the capabilities that they switch on. */
export const QEMU_MODES = { precopy: [], 'auto-converge': ['auto-converge'] } as const;
export type QemuMode = keyof typeof QEMU_MODES;

const migrationSchema = z.object({
  status: z.string().default('none'),
  downtime: z.number().optional(),
  'total-time': z.number().optional(),
  'error-desc': z.string().optional(),
  ram: z.object({ transferred: z.number() }).optional(),
});
type Migration = z.infer<typeof migrationSchema>;

const pollMs = 10;
const port = 4444;

export interface QemuRun {
  readonly hosts: HostPair;
  readonly workload: Workload;
  readonly memory: string;
  readonly mode: QemuMode;
  /** An empty folder for this run's files. */
  readonly folder: string;
}

/** Moves one guest from host a to host b. @throws when something broke; a move that does not converge is an outcome */
export async function moveByQemu(run: QemuRun): Promise<Outcome> {
  const { hosts, workload, memory, mode, folder } = run;
  const at = (name: 'a' | 'b'): { folder: string; workload: Workload; memory: string; tracer: null } => ({
    folder: path.join(folder, name),
    workload,
    memory,
    tracer: null,
  });
  const source = await Qemu.start({ ...at('a'), host: hosts.a });
  const watch = new ConsoleWatch(source.paths.consoleLog, workload);
  let destination: Qemu | null = null;
  try {
    await watch.waitFor(1, 60_000);
    const incoming = ['-incoming', `tcp:${hosts.b.address}:${port}`];
    destination = await Qemu.start({ ...at('b'), host: hosts.b, extra: incoming });
    await configure(source, mode, hosts);
    await sleep(warmUpMs);
    return await move(source, watch, hosts);
  } finally {
    await watch.close();
    await Promise.all([source.quit(), destination?.quit()]);
  }
}

async function configure(source: Qemu, mode: QemuMode, hosts: HostPair): Promise<void> {
  const capabilities = ['events', ...QEMU_MODES[mode]].map((capability) => ({ capability, state: true }));
  await source.qmp.execute('migrate-set-capabilities', { capabilities });
  await source.qmp.execute('migrate-set-parameters', { 'max-bandwidth': 10 * LINKS[hosts.link] });
}

async function move(source: Qemu, watch: ConsoleWatch, hosts: HostPair): Promise<Outcome> {
  const account = new RamAccount(performance.now());
  const unsubscribe = source.qmp.onEvent(({ event, data }) => {
    // Said at the beginning of a pass: that of the second one is the first one's end.
    if (event === 'MIGRATION_PASS' && (data as { pass?: number }).pass === 2) account.firstPassEnded(performance.now());
  });
  const bytesBefore = await hosts.linkBytes();
  const beganMs = performance.now();
  await source.qmp.execute('migrate', { uri: `tcp:${hosts.b.address}:${port}` });
  let now: Migration;
  for (;;) {
    now = await source.qmp.query('query-migrate', migrationSchema);
    account.poll(performance.now(), now.ram?.transferred ?? 0);
    if (['completed', 'failed', 'cancelled'].includes(now.status)) break;
    if (performance.now() - beganMs > patienceMs) break;
    await sleep(pollMs);
  }
  const endedMs = performance.now();
  unsubscribe();
  if (now.status === 'failed') throw new Error(`QEMU's migration failed: ${now['error-desc'] ?? 'no reason given'}`);
  const converged = now.status === 'completed';
  const bytes = (await hosts.linkBytes()) - bytesBefore;
  if (!converged) await cancel(source);
  return {
    converged,
    downtimeMs: converged ? (now.downtime ?? null) : null,
    totalMs: converged ? (now['total-time'] ?? endedMs - beganMs) : endedMs - beganMs,
    bytes,
    bytesAfterBase: account.afterFirstPass(),
    slowdown: slowdown(watch, beganMs, endedMs),
  };
}

async function cancel(source: Qemu): Promise<void> {
  await source.qmp.execute('migrate_cancel');
  for (let tries = 0; tries < 500; tries++) {
    const { status } = await source.qmp.query('query-migrate', migrationSchema);
    if (status === 'cancelled' || status === 'failed') return;
    await sleep(pollMs);
  }
  throw new Error("QEMU's migration does not let itself be cancelled");
}

/** See Outcome.slowdown; the watch is the source's console, which says nothing more once the guest has left. */
export function slowdown(watch: ConsoleWatch, beganMs: number, endedMs: number): number | null {
  if (watch.workload === 'idle') return null;
  const before = watch.rate(beganMs - warmUpMs / 2, beganMs);
  const during = watch.rate(beganMs, endedMs);
  return before === null || during === null || before === 0 ? null : 1 - during / before;
}
