// Moves as the benchmark would have seen them.
import type { Outcome } from '../../bench/outcome.js';

/** A move that went well, but for what a test says. */
export function outcome(facts: Partial<Outcome> = {}): Outcome {
  return {
    converged: true,
    downtimeMs: 10,
    toolDowntimeMs: 8,
    beatDowntimeMs: 10,
    udpSilenceMs: null,
    stallMs: 9,
    totalMs: 2000,
    bytes: 40e6,
    bytesAfterBase: 20e3,
    slowdown: 0.05,
    ...facts,
  };
}
