// Reports as migrations leave them, made up but with the shape of real ones: for the HTML report's tests, and to look at.
import type { MigrationReport, ReportSample } from '../../src/migrate/report.js';

const baseEndMs = 1310;
const endMs = 2360;

/** A busy guest: the lag grows until the base is there, is replayed with some pacing, and is gone at the handover. */
function sampleAt(atMs: number, index: number): ReportSample {
  const wobble = 1 + 0.12 * Math.sin(index * 1.7) + 0.05 * Math.sin(index * 5.1);
  const shipping = atMs < baseEndMs;
  const left = shipping ? 1 : Math.exp(-(atMs - baseEndMs) / 150);
  const sourcePerSecond = 131e6 * wobble;
  const replaySpeed = shipping ? 0 : 1.62 * wobble;
  const pace = shipping ? 0 : left > 0.3 ? 0.35 : left > 0.05 ? 0.18 : 0;
  const lagMs = shipping ? atMs * 0.72 : Math.max(0.6, baseEndMs * 0.72 * left) * wobble;
  const destinationIcount = shipping ? 0 : Math.round((atMs / 1000) * sourcePerSecond * (1 - left));
  return {
    atMs,
    phase: shipping ? 'shipping' : 'catching-up',
    sourceIcount: Math.round((atMs / 1000) * sourcePerSecond),
    destinationIcount,
    lagInstructions: Math.round((lagMs / 1000) * sourcePerSecond),
    lagMs,
    logBytesPerSecond: Math.round(5200 * wobble),
    linkBytesPerSecond: shipping ? Math.round(27e6 * wobble) : Math.round(9600 * wobble),
    replayPerSecond: Math.round(sourcePerSecond * replaySpeed),
    sourcePerSecond: Math.round(sourcePerSecond),
    guestSpeed: (1 - pace) * Math.min(1, 0.7 + atMs / 1000) * wobble,
    replaySpeed,
    pace,
    predictedDowntimeMs: shipping ? 0 : lagMs + 5.4,
  };
}

export const completed: MigrationReport = {
  format: 1,
  strategy: 'trace',
  migrationId: '6f1c2a9e-6d0b-4c1d-9a53-0b1f6f7c2e11',
  machine: 'builder',
  outcome: 'completed',
  owner: 'destination',
  startedAt: '2026-03-14T09:26:53.589Z',
  downtimeMs: 6.41,
  downtime: {
    stopMs: 0.12,
    quiesceMs: 0.05,
    tailMs: 2.31,
    digestMs: 0.64,
    ownershipMs: 2.48,
    liveMs: 0.27,
    linkMs: 0.54,
  },
  predictedDowntimeMs: 7.02,
  predicted: { stopMs: 0.41, digestMs: 0.71, journalMs: 3.1, liveMs: 1.0, linkMs: 0.4, replayMs: 1.4 },
  totalMs: endMs,
  phases: [
    { phase: 'connecting', atMs: 0 },
    { phase: 'offering', atMs: 3 },
    { phase: 'arming', atMs: 118 },
    { phase: 'shipping', atMs: 126 },
    { phase: 'catching-up', atMs: baseEndMs },
    { phase: 'draining', atMs: 2353 },
    { phase: 'awaiting-ready', atMs: 2354 },
    { phase: 'fencing', atMs: 2356 },
    { phase: 'relinquishing', atMs: 2357 },
    { phase: 'relinquished', atMs: 2358 },
    { phase: 'retired', atMs: endMs },
  ],
  divergences: [],
  pauses: [
    { what: 'probe', ms: 0.31, atMs: 96 },
    { what: 'arm', ms: 4.12, atMs: 121 },
  ],
  bytes: {
    base: 32_512_113,
    log: 12_804,
    deviceState: 26_733,
    disk: 0,
    overhead: 8_911,
    total: 32_560_561,
    afterBase: 11_402,
  },
  link: { encrypted: true, bytesPerSecondMax: 12_500_000, reconnects: 2, brokenMs: 3120 },
  log: { rawBytes: 61_233, wireBytes: 12_804, events: 14_120, segments: 233, instructions: 311_204_331 },
  digests: { ram: 'equal', disks: 'skipped', devices: 'equal', registers: 'equal' },
  pacing: { max: 0.35, meanWhileCatchingUp: 0.092, pacedMs: 96.4 },
  clock: { shift: 3, behindMs: 41.2 },
  samples: Array.from({ length: 47 }, (_, index) => sampleAt(126 + index * 47.4, index)),
  guest: { arch: 'x86_64', board: 'pc', memoryBytes: 256 * 1024 * 1024, vcpus: 1 },
  qemu: '10.0.2',
  host: { source: 'alder', destination: 'birch', trmig: '0.1.0' },
  error: null,
};

const unmoved = {
  ...completed,
  downtimeMs: null,
  downtime: null,
  digests: { ram: 'skipped', disks: 'skipped', devices: 'skipped', registers: 'skipped' },
  clock: { shift: 3, behindMs: null },
} as const;

export const aborted: MigrationReport = {
  ...unmoved,
  outcome: 'aborted',
  owner: 'source',
  predictedDowntimeMs: null,
  predicted: null,
  totalMs: 1702,
  samples: completed.samples.filter(({ atMs }) => atMs < 1700),
  error: {
    code: 'E_ABORTED',
    message: 'the migration was cancelled while the destination was catching up',
    hint: 'Run it again when you are ready.',
    facts: {},
  },
};

export const failed: MigrationReport = {
  ...unmoved,
  outcome: 'failed',
  owner: 'source',
  predictedDowntimeMs: null,
  predicted: null,
  totalMs: 412,
  phases: completed.phases.slice(0, 4),
  samples: [],
  pauses: [],
  log: { rawBytes: 0, wireBytes: 0, events: 0, segments: 0, instructions: 0 },
  bytes: { base: 0, log: 0, deviceState: 0, disk: 0, overhead: 611, total: 611, afterBase: 0 },
  pacing: { max: 0, meanWhileCatchingUp: 0, pacedMs: 0 },
  error: {
    code: 'E_CONNECT',
    message: 'birch:7700 does not answer any more: the connection was reset while the base image was sent',
    hint: 'Look at the machine there with `trmig status`, then run the migration again.',
    facts: { host: 'birch', port: 7700, attempts: 3 },
  },
};

export const unresolved: MigrationReport = {
  ...failed,
  owner: 'unresolved',
  digests: { ram: 'skipped', disks: 'skipped', devices: 'different', registers: 'equal' },
};

/** Foreign text wherever text comes from elsewhere. */
export const hostile: MigrationReport = {
  ...failed,
  machine: '<script>alert(1)</script>',
  qemu: '10.0.2"><img src=x onerror=alert(1)>',
  migrationId: "'onmouseover='alert(1)",
  host: { source: '</style></title><script>', destination: '&lt;\u0000\u001b[31m', trmig: '0' },
  pauses: [{ what: '<b>arm</b>', ms: NaN, atMs: -1 }],
  phases: [{ phase: '__proto__', atMs: NaN }],
  error: { code: 'E_INTERNAL', message: '<script>\n</script>', hint: '<i>"', facts: { '<x>': '<y>' } },
};
