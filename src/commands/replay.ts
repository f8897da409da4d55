import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../cli/base-command.js';
import { formatCount, formatFactor, formatMs } from '../cli/quantities.js';
import { StatusLine, bar } from '../cli/status-line.js';
import { pairLines } from '../cli/table.js';
import { requirePosition } from '../cli/typed-values.js';
import type { ReplayOptions, ReplayProgress, ReplayResult } from '../index.js';

export default class Replay extends BaseCommand<typeof Replay> {
  static override summary = 'Replay a recording.';
  static override description =
    'Starts a QEMU of its own from the recording, restores the checkpoint and plays the log to its end, or to --until: an ' +
    'instruction count (123456, exact), or guest time after the checkpoint (2.5s). Time becomes an instruction by the ' +
    "guest's clock at the segments' ends, within a segment in proportion; the same time is the same instruction at every " +
    'replay. Prints the digests of the state reached and ends that QEMU, unless --keep or --live is given.\n\n' +
    '--live takes the machine over: at the end of the log it runs on here, under its own name. That is refused unless its ' +
    'source has given it up (`checkpoint --give-up`), because it may still run there; --fork instead runs the copy as a ' +
    'new machine under another name.';
  static override examples = [
    '<%= config.bin %> replay web.rec --verify',
    '<%= config.bin %> replay web.rec --until 2.5s --keep --name look',
    '<%= config.bin %> replay web.rec --live',
  ];
  static override args = { recording: Args.string({ description: 'Recording (a directory).', required: true }) };
  static override flags = {
    name: Flags.string({ summary: 'Name of the machine that replays.', helpValue: 'NAME' }),
    until: Flags.string({ summary: 'Where to stop; the end of the log when left out.', helpValue: 'ICOUNT|TIME' }),
    follow: Flags.boolean({ char: 'f', summary: 'Wait for more while the recording grows.' }),
    verify: Flags.boolean({ summary: 'Digest all of RAM too.' }),
    keep: Flags.boolean({ summary: 'Leave the machine standing where the replay ended.', exclusive: ['live'] }),
    live: Flags.boolean({ summary: 'Let it run on at the end of the log.', exclusive: ['until'] }),
    fork: Flags.boolean({ summary: 'With --live: as a new machine.', dependsOn: ['live'] }),
  };

  async run(): Promise<void> {
    const { replayRecording } = await import('../index.js');
    const { name, until, follow, verify, keep, live, fork } = this.flags;
    const status = new StatusLine(process.stderr, !this.jsonWanted);
    const home = await this.home();
    const options: ReplayOptions = {
      home,
      follow,
      verify,
      keep,
      signal: this.signal,
      ...(name !== undefined && { name }),
      ...(until !== undefined && { until: requirePosition(until, 'until') }),
      ...(live && { live: fork ? 'fork' : 'take-over' }),
      onProgress: (progress) => {
        this.progress({ progress });
        status.show(() => progressText(progress));
      },
    };
    const result = await replayRecording(this.args.recording, options).finally(() => status.end());
    if (result.state !== 'ended') await this.note(home, { machine: result.machine });
    this.result({ replay: result }, () => resultLines(result));
  }
}

function progressText(progress: ReplayProgress): string {
  const { phase, baseChunks, baseChunksTotal, icount, endIcount, guestMs, elapsedMs } = progress;
  if (phase === 'base') return `base    ${bar(baseChunks / Math.max(1, baseChunksTotal), 30)}`;
  const done = endIcount === null || endIcount === 0 ? '' : `${bar(icount / endIcount, 30)}  `;
  return `replay  ${done}${formatCount(icount)} instructions, ${formatMs(guestMs)} of the guest in ${formatMs(elapsedMs)}`;
}

function resultLines(result: ReplayResult): string[] {
  const { machine, state, icount, guestMs, final, digests, replayMs, recordedMs, restoreMs, speed, liveMs } = result;
  const states = {
    ended: `Replayed to instruction ${icount}${final ? ', the end of the log' : ''}`,
    stopped: `${machine} stands at instruction ${icount}${final ? ', the end of the log' : ''}`,
    live: `${machine} runs here, from instruction ${icount} on`,
  };
  return [
    states[state],
    ...pairLines([
      ['  guest time', `${formatMs(guestMs)} after the checkpoint`],
      ['  registers', digests.registers],
      ['  devices', digests.devices],
      ...(digests.ram === null ? [] : [['  ram', digests.ram] as const]),
      [
        '  took',
        `${formatMs(replayMs)} for ${formatMs(recordedMs)}: ${formatFactor(speed)} real time; restore ${formatMs(restoreMs)}`,
      ],
      ...(liveMs === null ? [] : [['  live in', formatMs(liveMs)] as const]),
    ]),
  ];
}
