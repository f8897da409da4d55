// The network learns where a guest is now: from QEMU's own RARP packets, before the guest itself says anything.
import type { QmpClient } from '../machine/index.js';

/** QEMU's defaults, ms. */
const announcing = { initial: 50, max: 550, rounds: 5, step: 100 };

/** Begins it. Never rejects: the guest's own packets tell the same, later. */
export async function announce(monitor: QmpClient): Promise<void> {
  await monitor.execute('announce-self', announcing).catch(() => undefined);
}
