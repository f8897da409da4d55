// The ways of QEMU's own that trmig is measured beside, each with the settings that serve it best. docs/bench.md says why.
import { LINKS, type LinkName } from './hosts.js';

export interface QemuSettings {
  /** Switched on at both ends. */
  readonly capabilities: readonly string[];
  /** Set at both ends. */
  readonly parameters: Readonly<Record<string, number | string>>;
  /** Whether the guest is switched over when everything has been sent once, whatever it has written meanwhile. */
  readonly switchesAfterFirstPass: boolean;
}

const settled = { capabilities: [], parameters: {}, switchesAfterFirstPass: false };

export const QEMU_MODES = {
  precopy: settled,
  // It starts at 20 % and adds 10 by default: slow to get anywhere in the time given.
  'auto-converge': {
    ...settled,
    capabilities: ['auto-converge'],
    parameters: { 'cpu-throttle-initial': 50, 'cpu-throttle-increment': 20 },
  },
  // As many channels as there are cores.
  'multifd-zstd': {
    ...settled,
    capabilities: ['multifd'],
    parameters: { 'multifd-channels': 2, 'multifd-compression': 'zstd', 'multifd-zstd-level': 1 },
  },
  postcopy: { ...settled, capabilities: ['postcopy-ram', 'postcopy-preempt'], switchesAfterFirstPass: true },
  // A cache that holds all of the guest's memory.
  xbzrle: { ...settled, capabilities: ['xbzrle'], parameters: { 'xbzrle-cache-size': 256 * 1024 * 1024 } },
} as const satisfies Readonly<Record<string, QemuSettings>>;
export type QemuMode = keyof typeof QEMU_MODES;

/** Those measured unless others are asked for: `xbzrle` has been better than the best of them in nothing. */
export const QEMU_MODES_USUAL = [
  'precopy',
  'auto-converge',
  'multifd-zstd',
  'postcopy',
] as const satisfies readonly QemuMode[];

/** What is set in all modes: nothing but the link limits the rate. */
export function commonParameters(link: LinkName): Readonly<Record<string, number>> {
  return { 'max-bandwidth': 10 * LINKS[link], 'downtime-limit': downtimeLimitMs(0) };
}

/**
 * The downtime that QEMU may take so many ms after its first pass: little at first, so that a guest that allows it moves with
 * little, then more, up to QEMU's default, so that one that does not can arrive at all.
 */
export function downtimeLimitMs(sinceFirstPassMs: number): number {
  if (sinceFirstPassMs < 3_000) return 10;
  return sinceFirstPassMs < 6_000 ? 50 : 300;
}
