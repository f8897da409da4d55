import { Args } from '@oclif/core';
import { BaseCommand } from '../../cli/base-command.js';
import { openLogSource } from '../../cli/log-source.js';
import { formatCount, formatNs, formatRate, formatShare, formatSize } from '../../cli/quantities.js';
import { pairLines, tableLines } from '../../cli/table.js';
import type { LogStat } from '../../index.js';

export default class LogStatCommand extends BaseCommand<typeof LogStatCommand> {
  static override summary = 'Say what a log consists of.';
  static override description = 'Events and bytes by kind, and how fast they came: what is so expensive in this log?';
  static override examples = ['<%= config.bin %> log stat web.rec', '<%= config.bin %> log stat rr.log --json'];
  static override args = {
    path: Args.string({ description: 'Recording (a directory), or the rr file of a stock QEMU.', required: true }),
  };

  async run(): Promise<void> {
    const { statLog } = await import('../../index.js');
    const source = await openLogSource(this.args.path);
    const { manifest } = source;
    const start = manifest === null ? {} : { virtualNs: manifest.virtualNs };
    const stat = await statLog(source.segments({ signal: this.signal }), start);
    const of = manifest === null ? null : { machine: manifest.machine, uuid: manifest.uuid, shift: manifest.shift };
    this.result({ path: source.path, recording: of, ended: source.ended, ...stat }, () =>
      this.#lines(stat, source.ended),
    );
  }

  #lines(stat: LogStat, ended: boolean): string[] {
    const rate = (perSecond: number | null, text: (n: number) => string): string =>
      perSecond === null ? '' : `, ${text(perSecond)}`;
    const rows = stat.kinds.map(({ kind, count, bytes }) => [
      kind,
      String(count),
      formatSize(bytes),
      formatShare(stat.bytes === 0 ? 0 : bytes / stat.bytes),
    ]);
    const right = (title: string): { title: string; right: true } => ({ title, right: true });
    return [
      ...pairLines([
        ['events', `${stat.events}${rate(stat.eventsPerSecond, (n) => `${formatCount(n)}/s`)}`],
        ['bytes', `${formatSize(stat.bytes)} raw${rate(stat.bytesPerSecond, formatRate)}`],
        ['instructions', `${stat.instructions}${rate(stat.instructionsPerSecond, (n) => `${formatCount(n)}/s`)}`],
        ['guest time', stat.virtualNs > 0 ? formatNs(stat.virtualNs) : 'not known'],
        ['segments', `${stat.segments}${ended ? '' : ', and no end: its writer is at it, or was killed'}`],
      ]),
      '',
      ...tableLines([{ title: 'KIND' }, right('COUNT'), right('BYTES'), right('SHARE')], rows),
    ];
  }
}
