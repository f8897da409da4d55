import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../cli/base-command.js';
import { bandwidthFlag, plaintextFlag, reconnectFlag } from '../cli/link-flags.js';
import { linkLost } from '../cli/migration-text.js';
import { formatCount, formatSize } from '../cli/quantities.js';
import { StatusLine, bar } from '../cli/status-line.js';
import { pairLines } from '../cli/table.js';
import { requireAddress, requireDuration, requireRate } from '../cli/typed-values.js';
import type { ShipProgress } from '../index.js';

export default class Ship extends BaseCommand<typeof Ship> {
  static override summary = 'Store a recording on another host.';
  static override description =
    'Sends a recording to a `trmig receive`, which stores it in its state directory. With --follow it goes on while the ' +
    'recording grows, until it is complete; else what is there now is sent. A host that has the beginning of the recording ' +
    'gets only the rest.';
  static override examples = [
    '<%= config.bin %> ship web.rec 10.0.0.2:7600',
    '<%= config.bin %> ship web.rec 10.0.0.2:7600 --follow',
  ];
  static override args = {
    recording: Args.string({ description: 'Recording (a directory).', required: true }),
    to: Args.string({ description: "The receiver's address, HOST:PORT.", required: true }),
  };
  static override flags = {
    follow: Flags.boolean({ char: 'f', summary: 'Go on until the recording is complete.' }),
    bandwidth: bandwidthFlag,
    reconnect: reconnectFlag,
    plaintext: plaintextFlag,
  };

  async run(): Promise<void> {
    const { KeyRing, ship } = await import('../index.js');
    const status = new StatusLine(process.stderr, !this.jsonWanted);
    const onProgress = (progress: ShipProgress): void => {
      this.progress({ progress });
      status.show(() => progressText(progress));
    };
    const address = requireAddress(this.args.to);
    const { bandwidth, plaintext, reconnect } = this.flags;
    const bytesPerSecondMax = bandwidth === undefined ? undefined : requireRate(bandwidth, 'bandwidth');
    const reconnectMs = requireDuration(reconnect, 'reconnect');
    const security = new KeyRing(await this.home()).security(plaintext);
    const options = {
      ...address,
      security,
      bytesPerSecondMax,
      reconnectMs,
      follow: this.flags.follow,
      signal: this.signal,
      onProgress,
    };
    const result = await ship(this.args.recording, options).finally(() => status.end());
    const { machine, host, name, reason, segments, held, endIcount, bytes } = result;
    const before = held === 0 ? '' : `, ${held} of them and the checkpoint there already`;
    this.result({ shipped: result }, () => [
      `The recording of ${machine} is stored on ${host} as ${name}`,
      ...pairLines([
        ['  log', `${segments} segments${before}`],
        ['  ended', `${reason}, at instruction ${formatCount(endIcount)}`],
        [
          '  bytes',
          `base ${formatSize(bytes.base)}, disks ${formatSize(bytes.disk)}, log ${formatSize(bytes.log)}, ${formatSize(bytes.total)} in all`,
        ],
      ]),
    ]);
  }
}

function progressText({ chunks, chunksTotal, segments, sentBytes, linkBrokenForMs }: ShipProgress): string {
  if (linkBrokenForMs !== null) return linkLost(linkBrokenForMs);
  return `image ${bar(chunks / Math.max(1, chunksTotal), 30)}  log ${segments} segments  ${formatSize(sentBytes)} sent`;
}
