import { Args } from '@oclif/core';
import { BaseCommand } from '../cli/base-command.js';
import { formatCount, formatMs, formatNs, formatShare, formatSize } from '../cli/quantities.js';
import { pairLines } from '../cli/table.js';
import type { Standing, TracerStatus } from '../index.js';

export default class Status extends BaseCommand<typeof Status> {
  static override summary = 'Say how a machine stands.';
  static override description =
    'State, what the tracer does, the pauses it has caused, and who owns the machine by the ownership journal. ' +
    'When a migration is unfinished it says which command resolves it.';
  static override examples = ['<%= config.bin %> status web', '<%= config.bin %> status --json'];
  static override args = { name: Args.string({ description: 'Machine; all of this host when left out.' }) };

  async run(): Promise<void> {
    const { standingOf } = await import('../index.js');
    const home = await this.home();
    const { name } = this.args;
    const names = name === undefined ? await home.machineNames() : [name];
    for (const [i, one] of names.entries()) {
      const standing = await standingOf(one, { home, signal: this.signal });
      this.result(standing, () => [...(i > 0 ? [''] : []), ...this.#lines(standing)]);
    }
    if (names.length === 0) this.remark('No machines. Start one with: trmig run SPEC');
  }

  #lines(standing: Standing): string[] {
    const { name, state, pid, qemu, tracer, ownership } = standing;
    const paint = state === 'running' ? this.style.good : state === 'dead' ? this.style.bad : this.style.dim;
    const pairs: [string, string][] = [];
    if (pid !== null) pairs.push(['  pid', String(pid)], ['  qemu', qemu ?? 'its monitor is taken']);
    if (tracer !== null) pairs.push(...tracerPairs(tracer));
    else if (state === 'running') pairs.push(['  tracer', 'does not answer']);
    const { owner, last, advice, error } = ownership;
    if (error !== null) pairs.push(['  ownership', `${error.message} (${error.code})`]);
    else if (last !== null) {
      const whose = owner === 'here' ? 'this host' : last.peer;
      pairs.push(['  ownership', `${whose} (${last.role}, ${last.state}, migration ${last.migrationId})`]);
    }
    const lines = [`${this.style.strong(name)}  ${paint(state)}`, ...pairLines(pairs)];
    if (advice !== null) {
      lines.push(`  ${this.style.warning(advice.summary)}`);
      if (advice.command !== null) lines.push(`  run: ${advice.command}`);
    }
    return lines;
  }
}

function tracerPairs(tracer: TracerStatus): [string, string][] {
  const { mode, running, stoppedBy, icount, shift, virtualNs, events, rawBytes, segments, lost, pace, pauses } = tracer;
  const guest = running ? 'runs' : `stopped${stoppedBy === null ? '' : ` by ${stoppedBy}`}`;
  const pairs: [string, string][] = [['  tracer', `${mode}; the guest ${guest}`]];
  if (mode !== 'dormant') {
    pairs.push(
      ['  position', `instruction ${icount} (shift ${shift}), guest clock ${formatNs(virtualNs)}`],
      ['  log', `${formatCount(events)} events, ${formatSize(rawBytes)} in ${segments} segments`],
    );
  }
  if (pace > 0) pairs.push(['  pace', `the vCPU sleeps ${formatShare(pace)} of the time`]);
  if (tracer.leaseMs !== null && tracer.leaseMs > 0)
    pairs.push(['  lease', `the guest goes on by itself in ${formatMs(tracer.leaseMs)}`]);
  if (!tracer.owned) pairs.push(['  owned', 'no: this QEMU has given the guest away']);
  if (lost !== null) pairs.push(['  lost', `the log was lost: ${lost}`]);
  if (pauses.length > 0) {
    const shown = pauses.slice(-4).map(({ what, ns }) => `${what} ${formatNs(ns)}`);
    pairs.push(['  pauses', `${pauses.length > 4 ? '… ' : ''}${shown.join(', ')}`]);
  }
  return pairs;
}
