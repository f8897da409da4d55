import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../cli/base-command.js';
import { formatCount, formatFactor, formatMs, formatSize } from '../cli/quantities.js';
import { StatusLine, bar } from '../cli/status-line.js';
import { pairLines } from '../cli/table.js';
import { requireDuration, requirePosition } from '../cli/typed-values.js';
import type { ContinueProgress, RecordedLeg, ReplayOptions, ReplayProgress, ReplayResult } from '../index.js';

export default class Replay extends BaseCommand<typeof Replay> {
  static override summary = 'Replay a recording.';
  static override description =
    'Starts a QEMU of its own from the recording, restores the checkpoint and plays the log to its end, or to --until: an ' +
    'instruction count (123456, exact), or guest time after the checkpoint (2.5s). Time becomes an instruction by the ' +
    "guest's clock at the segments' ends, within a segment in proportion; the same time is the same instruction at every " +
    'replay. Prints the digests of the state reached and ends that QEMU, unless --keep or --live is given.\n\n' +
    '--live takes the machine over: at the end of the log it runs on here, under its own name. That is refused unless its ' +
    'source has given it up (`checkpoint --give-up`), because it may still run there; --fork instead runs the copy as a ' +
    'new machine under another name.\n\n' +
    'With --record the machine that was taken over is recorded on, into the same recording and without a new checkpoint: ' +
    'until --for has passed, or Ctrl-C. Then it runs on, unless --give-up says that it ends here too: then whoever has the ' +
    'recording may take it over. `trmig ship` sends a host that has the beginning only what came after it.';
  static override examples = [
    '<%= config.bin %> replay web.rec --verify',
    '<%= config.bin %> replay web.rec --until 2.5s --keep --name look',
    '<%= config.bin %> replay web.rec --live',
    {
      description: 'Take it over, and give it on to the next host after ten seconds',
      command: '<%= config.bin %> replay web.rec --live --record --for 10s --give-up',
    },
  ];
  static override args = { recording: Args.string({ description: 'Recording (a directory).', required: true }) };
  static override flags = {
    name: Flags.string({ summary: 'Name of the machine that replays.', helpValue: 'NAME' }),
    until: Flags.string({ summary: 'Where to stop; the end of the log when left out.', helpValue: 'ICOUNT|TIME' }),
    follow: Flags.boolean({ char: 'f', summary: 'Wait for more while the recording grows.' }),
    verify: Flags.boolean({ summary: 'Digest all of RAM too.' }),
    keep: Flags.boolean({ summary: 'Leave the machine standing where the replay ended.', exclusive: ['live'] }),
    live: Flags.boolean({ summary: 'Let it run on at the end of the log.', exclusive: ['until'] }),
    fork: Flags.boolean({ summary: 'With --live: as a new machine.', dependsOn: ['live'], exclusive: ['record'] }),
    record: Flags.boolean({ summary: 'With --live: record it on, into this recording.', dependsOn: ['live'] }),
    for: Flags.string({
      summary: 'With --record: how long, such as 10s; until Ctrl-C when left out.',
      helpValue: 'DURATION',
      dependsOn: ['record'],
    }),
    'give-up': Flags.boolean({
      summary: 'With --record: end the machine here when the recording ends, for it to go on elsewhere.',
      dependsOn: ['record'],
    }),
  };

  /** Who reads the output may go; what is recorded goes on. */
  protected override get endsWithItsReader(): boolean {
    return !this.flags.record;
  }

  async run(): Promise<void> {
    const { replayRecording } = await import('../index.js');
    const { name, until, follow, verify, keep, live, fork, record, for: duration, 'give-up': giveUp } = this.flags;
    const { recording } = this.args;
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
      ...(record && {
        record: {
          durationMs: duration === undefined ? null : requireDuration(duration, 'for'),
          giveUp,
          onProgress: (progress) => {
            this.progress({ progress });
            status.show(() => recordingText(progress));
          },
        },
        onLive: (result) => {
          status.above(() => this.result({ replay: result }, () => resultLines(result)));
        },
      }),
      onProgress: (progress) => {
        this.progress({ progress });
        status.show(() => progressText(progress));
      },
    };
    const result = await replayRecording(recording, options).finally(() => status.end());
    const { state, machine, recorded } = result;
    if (state !== 'ended') await this.note(home, { machine, ...(recorded && { recording }) });
    if (recorded === null) this.result({ replay: result }, () => resultLines(result));
    else this.result({ recording: recorded }, () => recordedLines(recorded));
  }
}

function progressText(progress: ReplayProgress): string {
  const { phase, baseChunks, baseChunksTotal, icount, endIcount, guestMs, elapsedMs } = progress;
  if (phase === 'base') return `base    ${bar(baseChunks / Math.max(1, baseChunksTotal), 30)}`;
  const done = endIcount === null || endIcount === 0 ? '' : `${bar(icount / endIcount, 30)}  `;
  return `replay  ${done}${formatCount(icount)} instructions, ${formatMs(guestMs)} of the guest in ${formatMs(elapsedMs)}`;
}

function recordingText({ elapsedMs, events, rawBytes }: ContinueProgress): string {
  return `recording  ${formatMs(elapsedMs)}  ${formatCount(events)} events, ${formatSize(rawBytes)}`;
}

function recordedLines({ dir, reason, elapsedMs, endIcount, log, pauses }: RecordedLeg): string[] {
  const ended = reason === 'given-up' ? 'the machine has ended here too' : `${reason}; the machine runs on`;
  return [
    `${dir} has been gone on with`,
    ...pairLines([
      ['  time', `${formatMs(elapsedMs)}, to instruction ${endIcount}`],
      ['  log', `${log.events} events, ${formatSize(log.rawBytes)} in ${log.segments} segments`],
      ['  pause', `${formatMs(pauses.endMs)} to end`],
      ['  ended', ended],
    ]),
  ];
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
