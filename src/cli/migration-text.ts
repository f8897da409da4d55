// A migration as a person watches it, and as it ended.
import type { MigrationReport, ReportDivergence, SourceProgress } from '../index.js';
import { formatCount, formatMs, formatRate, formatShare, formatSize } from './quantities.js';
import { bar } from './status-line.js';
import { pairLines } from './table.js';

/** In place of rates that are none. */
export const linkLost = (forMs: number): string => `link lost, reconnecting (${Math.floor(forMs / 1000)} s)`;

/** One line of what goes on now. */
export function progressText({ phase, base, sample, logBytes, linkBrokenForMs }: SourceProgress): string {
  const share = base.totalBytes === 0 ? 0 : base.scannedBytes / base.totalBytes;
  const parts = [
    phase.padEnd(11),
    share < 1 ? `base ${bar(share, 20)} ${formatShare(share).padStart(5)}` : `base ${formatSize(base.scannedBytes)}`,
  ];
  if (linkBrokenForMs !== null) return [...parts, linkLost(linkBrokenForMs)].join('  ');
  if (sample === null) return [...parts, `log ${formatSize(logBytes)}`].join('  ');
  const { logBytesPerSecond, lagMs, pace, predictedDowntimeMs, linkBytesPerSecond } = sample;
  parts.push(
    `link ${formatRate(linkBytesPerSecond)}`,
    `log ${formatRate(logBytesPerSecond)}`,
    `lag ${formatMs(lagMs)}`,
  );
  if (pace > 0) parts.push(`pace ${formatShare(pace)}`);
  if (share >= 1) parts.push(`downtime would be ${formatMs(predictedDowntimeMs)}`);
  return parts.join('  ');
}

/** What has been found, and what is done about it. */
export function divergenceText({ message, healedBy }: ReportDivergence): string {
  return `${message}: ${healedBy === null ? 'it runs on here' : 'it runs on here, and a fresh checkpoint follows'}`;
}

/** The short result. `to` is the address that was given. */
export function resultLines(report: MigrationReport, to: string, reportFile: string | null): string[] {
  const { machine, outcome, owner, host, totalMs, bytes, log, digests, pacing, clock } = report;
  const headline =
    owner === 'unresolved'
      ? `Nobody knows yet who has ${machine}: look at it with trmig status ${machine}`
      : owner === 'destination'
        ? `${machine} runs on ${host.destination} (${to}) now`
        : `${machine} runs on here: the migration ${outcome === 'aborted' ? 'was aborted' : 'failed'} after ${formatMs(totalMs)}`;
  const moved = report.downtime !== null && report.downtimeMs !== null;
  const pairs: [string, string][] = [];
  if (moved) {
    const predicted =
      report.predictedDowntimeMs === null ? '' : `  (predicted ${formatMs(report.predictedDowntimeMs)})`;
    const terms = (Object.entries(report.downtime) as [string, number][]).map(
      ([term, ms]) => `${term.replace(/Ms$/, '')} ${ms.toFixed(2)}`,
    );
    pairs.push(['  downtime', `${formatMs(report.downtimeMs)}${predicted}`], ['', terms.join(' + ')]);
  }
  const { bytesPerSecondMax, reconnects, brokenMs } = report.link;
  const link = bytesPerSecondMax === null ? [] : [`at most ${formatRate(bytesPerSecondMax)}`];
  if (brokenMs > 0) link.push(`made again ${reconnects} ×, away for ${formatMs(brokenMs)}`);
  if (link.length > 0) pairs.push(['  link', link.join(', ')]);
  pairs.push(
    ['  total', formatMs(totalMs)],
    [
      '  bytes',
      `base ${formatSize(bytes.base)}, log ${formatSize(bytes.log)}, device state ${formatSize(bytes.deviceState)}, ` +
        `overhead ${formatSize(bytes.overhead)}; after the base ${formatSize(bytes.afterBase)}`,
    ],
    [
      '  log',
      `${formatCount(log.events)} events, ${formatSize(log.rawBytes)} raw, ${formatSize(log.wireBytes)} on the wire`,
    ],
  );
  if (moved)
    pairs.push([
      '  digests',
      `ram ${digests.ram}, disks ${digests.disks}, devices ${digests.devices}, registers ${digests.registers}`,
    ]);
  if (pacing.max > 0) {
    const mean = formatShare(pacing.meanWhileCatchingUp);
    pairs.push(['  pacing', `the vCPU slept up to ${formatShare(pacing.max)}, ${mean} on average while catching up`]);
  }
  if (clock.behindMs !== null) {
    const behind = clock.behindMs >= 0 ? 'behind' : 'ahead';
    pairs.push([
      '  clock',
      `the guest's went ${formatMs(Math.abs(clock.behindMs))} ${behind} (shift ${clock.shift ?? '?'})`,
    ]);
  }
  const healed = report.divergences.filter(({ healedBy }) => healedBy !== null);
  if (healed.length > 0) {
    const places = healed.map(
      ({ instruction, event }) => `${event ?? 'an event'} at instruction ${instruction ?? '?'}`,
    );
    pairs.push(['  diverged', `${places.join(', ')}; healed by a fresh checkpoint each`]);
  }
  if (reportFile !== null) pairs.push(['  report', reportFile]);
  return [headline, ...pairLines(pairs)];
}
