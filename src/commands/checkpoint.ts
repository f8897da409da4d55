import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../cli/base-command.js';
import { formatCount, formatMs, formatSize } from '../cli/quantities.js';
import { StatusLine, bar } from '../cli/status-line.js';
import { pairLines } from '../cli/table.js';
import { requireDuration } from '../cli/typed-values.js';
import type { RecordProgress, RecordResult } from '../index.js';

export default class Checkpoint extends BaseCommand<typeof Checkpoint> {
  static override summary = 'Record a running machine.';
  static override description =
    'Takes a checkpoint of the machine while it runs and records its log from there on, into a directory. Without --for or ' +
    '--until-interrupted the recording ends as soon as the checkpoint is written. Ctrl-C ends a recording in order; while ' +
    'the checkpoint is still being written, it cancels it.\n\n' +
    'However it ends, the machine runs on, unless --give-up says that it ends here: then whoever has the recording may ' +
    'take it over with `replay --live`.';
  static override examples = [
    { description: 'A checkpoint alone', command: '<%= config.bin %> checkpoint web --to web.rec' },
    { description: 'Ten seconds', command: '<%= config.bin %> checkpoint web --to web.rec --for 10s' },
    { description: 'Until Ctrl-C', command: '<%= config.bin %> checkpoint web --to web.rec --until-interrupted' },
  ];
  static override args = { name: Args.string({ description: 'Machine.', required: true }) };
  static override flags = {
    to: Flags.string({ summary: 'Directory for the recording; made if needed.', helpValue: 'DIR', required: true }),
    for: Flags.string({ summary: 'How long to record, such as 10s.', helpValue: 'DURATION' }),
    'until-interrupted': Flags.boolean({ summary: 'Record until Ctrl-C.', exclusive: ['for'] }),
    'give-up': Flags.boolean({ summary: 'End the machine here when the recording ends, for it to go on elsewhere.' }),
  };

  /** Who reads the output may go; the recording goes on. */
  protected override get endsWithItsReader(): boolean {
    return false;
  }

  async run(): Promise<void> {
    const { Machine, recordMachine } = await import('../index.js');
    const { to, for: duration, 'until-interrupted': endless, 'give-up': giveUp } = this.flags;
    const durationMs = endless ? null : duration === undefined ? 0 : requireDuration(duration, 'for');
    const home = await this.home();
    const machine = await Machine.open(this.args.name, { home, signal: this.signal });
    const status = new StatusLine(process.stderr, !this.jsonWanted);
    const onProgress = (progress: RecordProgress): void => {
      this.progress({ progress });
      status.show(() => progressText(progress));
    };
    try {
      const result = await recordMachine(machine, to, { durationMs, giveUp, signal: this.signal, onProgress });
      status.end();
      await this.note(home, { machine: machine.name, recording: to });
      this.result({ recording: result }, () => resultLines(result));
    } finally {
      status.end();
      machine.close();
    }
  }
}

function progressText({ phase, elapsedMs, baseBytes, baseBytesTotal, events, rawBytes }: RecordProgress): string {
  const log = `${formatCount(events)} events, ${formatSize(rawBytes)}`;
  if (phase === 'log') return `recording  ${formatMs(elapsedMs)}  ${log}`;
  return `base  ${bar(baseBytes / Math.max(1, baseBytesTotal), 30)}  ${formatSize(baseBytes)}  log ${log}`;
}

const reasons: Readonly<Record<string, string>> = {
  'given-up': 'the machine has ended here: `trmig replay --live` takes it over',
};

function resultLines({
  machine,
  dir,
  reason,
  elapsedMs,
  endIcount,
  log,
  image,
  pauses,
  shift,
}: RecordResult): string[] {
  return [
    `${machine} is recorded in ${dir}`,
    ...pairLines([
      ['  time', `${formatMs(elapsedMs)}, ${formatCount(endIcount)} instructions (shift ${shift})`],
      ['  image', `${formatSize(image.rawBytes)} of RAM in ${formatSize(image.fileBytes)}`],
      ['  log', `${log.events} events, ${formatSize(log.rawBytes)} in ${log.segments} segments`],
      ['  pauses', `${formatMs(pauses.armMs)} to begin, ${formatMs(pauses.endMs)} to end`],
      ['  ended', reasons[reason] ?? `${reason}; the machine runs on`],
    ]),
  ];
}
