import { Args } from '@oclif/core';
import { BaseCommand } from '../../cli/base-command.js';
import { openLogSource } from '../../cli/log-source.js';

export default class LogDiff extends BaseCommand<typeof LogDiff> {
  static override summary = 'Show the first event at which two logs differ.';
  static override description =
    'Where segments begin and end is no difference; what counts is which events happened, with which bytes, at which ' +
    'instruction. The exit code is 0 when the logs are the same, 1 when they differ.';
  static override examples = [
    '<%= config.bin %> log diff a.rec b.rec',
    '<%= config.bin %> log diff a.rec rr.log --json',
  ];
  static override args = {
    a: Args.string({ description: 'Recording, or the rr file of a stock QEMU.', required: true }),
    b: Args.string({ description: 'The other.', required: true }),
  };

  async run(): Promise<void> {
    const { diffLogs, formatEvent } = await import('../../index.js');
    const { signal } = this;
    const [a, b] = [await openLogSource(this.args.a), await openLogSource(this.args.b)];
    const difference = await diffLogs(a.segments({ signal }), b.segments({ signal }));
    if (difference === null) {
      this.result({ same: true }, () => 'The logs are the same.');
      return;
    }
    this.fails();
    this.result({ same: false, ...difference }, () => [
      `The logs differ after ${difference.index} events in common, at instruction ${difference.icount}:`,
      ...difference.context.map((event) => `  ${formatEvent(event)}`),
      this.style.bad(`- ${difference.a === null ? '(the first log has ended)' : formatEvent(difference.a)}`),
      this.style.good(`+ ${difference.b === null ? '(the second log has ended)' : formatEvent(difference.b)}`),
    ]);
  }
}
