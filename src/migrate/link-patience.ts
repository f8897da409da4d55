// How long each side waits for a connection that is lost, phase by phase: for as long as was asked for while the guest runs, hardly
// while it stands still and can still go on where it was, and not at all when only words of farewell are left to say. What an end of the link means is the
// tables' (source-states.ts, destination-states.ts).

import { handoverReconnectMs } from '../limits.js';
import type { DestinationPhase } from './destination-states.js';
import type { SourcePhase } from './source-states.js';

/** What the two ends have agreed on (`--reconnect`). */
const agreed = Infinity;

/** For `Link.patience`, ms. */
export const sourcePatienceMs: Readonly<Record<SourcePhase['at'], number>> = {
  connecting: agreed,
  offering: agreed,
  arming: agreed,
  shipping: agreed,
  'catching-up': agreed,
  draining: handoverReconnectMs,
  'awaiting-ready': handoverReconnectMs,
  fencing: handoverReconnectMs,
  relinquishing: handoverReconnectMs,
  relinquished: agreed, // It runs nowhere now, and the destination alone can say where it will.
  reclaiming: 0,
  returning: 0,
  aborted: 0,
  failed: 0,
  retired: 0,
  unresolved: 0,
};

/** For `Link.patience`, ms. */
export const destinationPatienceMs: Readonly<Record<DestinationPhase['at'], number>> = {
  offered: agreed,
  preparing: agreed,
  restoring: agreed,
  replaying: agreed,
  ready: agreed,
  asking: handoverReconnectMs,
  taking: handoverReconnectMs,
  owner: handoverReconnectMs,
  live: handoverReconnectMs,
  declining: handoverReconnectMs,
  declined: handoverReconnectMs,
  discarded: 0,
  unresolved: 0,
};
