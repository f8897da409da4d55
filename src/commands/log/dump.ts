import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base-command.js';
import { openLogSource } from '../../cli/log-source.js';

/** Lines are written in bundles: one write a line would take most of the time. */
const bundleChars = 64 * 1024;

export default class LogDump extends BaseCommand<typeof LogDump> {
  static override summary = 'Print the events of a log.';
  static override description =
    'One line an event: the instruction count, the kind, the values. INSTRUCTION events, which only count, are left out ' +
    'unless --all is given.';
  static override examples = [
    '<%= config.bin %> log dump web.rec --from 1000000 --to 2000000',
    '<%= config.bin %> log dump web.rec --kind clock-host --json',
  ];
  static override args = {
    path: Args.string({ description: 'Recording (a directory), or the rr file of a stock QEMU.', required: true }),
  };
  static override flags = {
    from: Flags.integer({ summary: 'Begin at this instruction count.', helpValue: 'ICOUNT', min: 0, default: 0 }),
    to: Flags.integer({ summary: 'End before this instruction count.', helpValue: 'ICOUNT', min: 0 }),
    kind: Flags.string({ summary: 'Only events of this kind; may be repeated.', helpValue: 'KIND', multiple: true }),
    all: Flags.boolean({ summary: 'INSTRUCTION events too.' }),
    follow: Flags.boolean({ char: 'f', summary: 'Wait for more while the recording grows.' }),
  };

  async run(): Promise<void> {
    const { decodeSegments, formatEvent } = await import('../../index.js');
    const { from, to = Infinity, kind: kinds, all, follow } = this.flags;
    const wanted = kinds === undefined ? null : new Set(kinds);
    const source = await openLogSource(this.args.path);
    let bundle = '';
    for await (const { segment, event } of decodeSegments(source.segments({ follow, signal: this.signal }))) {
      if (event.icount >= to || this.signal.aborted) break;
      if (event.icount < from || (wanted !== null ? !wanted.has(event.kind) : !all && event.kind === 'instruction')) {
        continue;
      }
      bundle += this.jsonWanted ? this.jsonText({ segment: segment.seq, ...event }) : `${formatEvent(event)}\n`;
      if (bundle.length < bundleChars && !follow) continue;
      await this.writeSlowly(bundle);
      bundle = '';
    }
    await this.writeSlowly(bundle);
  }
}
