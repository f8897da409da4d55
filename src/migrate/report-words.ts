// A migration in plain words: one headline that says how it ended, and a few sentences for who was not there.
import { duration, share, size } from './report-quantities.js';
import type { MigrationReport } from './report.js';

const ordinary = 0.005;

/** How it ended, in one sentence without its full stop. */
export function headline(report: MigrationReport): string {
  const { machine, outcome, owner, downtimeMs } = report;
  if (outcome === 'completed') {
    return downtimeMs === null ? `${machine} has moved` : `${machine} moved with ${duration(downtimeMs)} of downtime`;
  }
  if (owner === 'unresolved') return `It is not settled where ${machine} runs`;
  return outcome === 'aborted' ? `${machine} stays where it was: the migration was stopped` : `${machine} did not move`;
}

/** The sentences below the headline. */
export function summary(report: MigrationReport): string[] {
  const rest = [...cost(report), ...astray(report)];
  if (report.outcome === 'completed') return [...journey(report), ...handover(report), ...proof(report), ...rest];
  return [...failure(report), ...rest];
}

function journey({ guest, host, totalMs, bytes, machine }: MigrationReport): string[] {
  const way =
    host.source === host.destination
      ? `from one QEMU to another on ${host.source}`
      : `from ${host.source} to ${host.destination}`;
  const afterwards = bytes.log + bytes.deviceState;
  return [
    `${machine}, with ${size(guest.memoryBytes)} of memory, went ${way} in ${duration(totalMs)}.`,
    `A copy of its memory as it stood at the start took ${size(bytes.base)}; ` +
      `all that happened to it since then took ${size(afterwards)} of log and device state.`,
  ];
}

function handover({ downtimeMs, predictedDowntimeMs }: MigrationReport): string[] {
  if (downtimeMs === null) return [];
  const still = `It stood still for ${duration(downtimeMs)}`;
  return [
    predictedDowntimeMs === null ? `${still}.` : `${still}; ${duration(predictedDowntimeMs)} had been predicted.`,
  ];
}

const digested = { registers: 'registers', devices: 'device state', ram: 'memory', disks: 'disks' } as const;

function proof({ digests }: MigrationReport): string[] {
  const named = (state: string): string[] =>
    (['registers', 'devices', 'ram', 'disks'] as const)
      .filter((part) => digests[part] === state)
      .map((part) => digested[part]);
  const [equal, different, skipped] = [named('equal'), named('different'), named('skipped')];
  return [
    ...(equal.length > 0
      ? [`At its last instruction on the source, ${list(equal)} were equal on both hosts, bit by bit.`]
      : []),
    ...(different.length > 0 ? [`Different: ${list(different)}.`] : []),
    ...(equal.length > 0 && skipped.length > 0 ? [`Not compared: ${list(skipped)}.`] : []),
  ];
}

function cost({ pacing, clock, pauses, outcome }: MigrationReport): string[] {
  const longest = Math.max(0, ...pauses.map(({ ms }) => ms));
  const before = outcome === 'completed' ? 'Before the handover' : 'Meanwhile';
  return [
    ...(longest > 0 ? [`${before} it was never stopped for more than ${duration(longest)}.`] : []),
    ...(pacing.max > ordinary
      ? [
          `It was slowed by up to ${share(pacing.max)} (${share(pacing.meanWhileCatchingUp)} on average while catching up).`,
        ]
      : []),
    ...(clock.behindMs !== null && Math.abs(clock.behindMs) >= 1
      ? [`Its clock ${clock.behindMs > 0 ? 'fell behind' : 'ran ahead'} by ${duration(Math.abs(clock.behindMs))}.`]
      : []),
  ];
}

/** Nobody but the destination has seen it. */
function astray({ divergences }: MigrationReport): string[] {
  return divergences.map(({ instruction, event, healedBy }) => {
    const where = instruction === null ? '' : ` at instruction ${instruction}${event === null ? '' : ` (${event})`}`;
    const then = healedBy === null ? '' : ' A fresh checkpoint healed that.';
    return `A replay was found to differ from its log${where}, before anything was handed over.${then}`;
  });
}

function failure({ owner, host, totalMs, bytes, machine, outcome }: MigrationReport): string[] {
  const ended = outcome === 'aborted' ? 'was stopped' : 'failed';
  const where = {
    source: `${machine} runs on at ${host.source}.`,
    destination: `${machine} belongs to ${host.destination} now.`,
    unresolved: `Neither ${host.source} nor ${host.destination} may run ${machine} until this is settled: run trmig resolve.`,
  }[owner];
  return [`The migration to ${host.destination} ${ended} after ${duration(totalMs)} and ${size(bytes.total)}.`, where];
}

function list(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)!}`;
}
