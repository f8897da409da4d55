import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../cli/base-command.js';
import { divergenceText, progressText, resultLines } from '../cli/migration-text.js';
import { bandwidthFlag, plaintextFlag, reconnectFlag } from '../cli/link-flags.js';
import { formatMs } from '../cli/quantities.js';
import { StatusLine } from '../cli/status-line.js';
import { requireAddress, requireDuration, requireRate, requireShare } from '../cli/typed-values.js';
import type { MigrateOptions, SourceResult } from '../index.js';

export default class Migrate extends BaseCommand<typeof Migrate> {
  static override summary = 'Move a running machine to another host.';
  static override description =
    'Ships a checkpoint of the machine while it runs, then its log; the other host replays it, catches up and takes over. ' +
    'There `trmig receive` must be running, and each host must trust the other (`trmig keys`).\n\n' +
    'Ctrl-C, or whatever fails before the machine has been given away, leaves it running here. Writes report.json and ' +
    'report.html, however it ends.';
  static override examples = [
    '<%= config.bin %> migrate web 10.0.0.2:7600',
    '<%= config.bin %> migrate web 10.0.0.2:7600 --timeout 10m --reconnect 5m',
    '<%= config.bin %> migrate web 10.0.0.2:7600 --verify --max-downtime 10ms --timeout 2m --on-timeout switch',
  ];
  static override args = {
    name: Args.string({ description: 'Machine.', required: true }),
    to: Args.string({ description: "The receiver's address, HOST:PORT.", required: true }),
  };
  static override flags = {
    verify: Flags.boolean({ summary: 'Compare all of RAM on both hosts at the handover.' }),
    'max-downtime': Flags.string({
      summary: 'The most downtime that may be predicted at the handover; a short moment of pacing aims lower.',
      helpValue: 'DURATION',
      default: '50ms',
    }),
    timeout: Flags.string({ summary: 'Give the handover so long to come.', helpValue: 'DURATION', default: '60s' }),
    'on-timeout': Flags.string({
      summary: 'Then: abort (it runs on here) or switch (accept the downtime).',
      options: ['abort', 'switch'],
      default: 'abort',
    }),
    'on-divergence': Flags.string({
      summary:
        'Should the other host compute something else than the log says: retry (with a fresh checkpoint, at most twice) or ' +
        'abort (it runs on here).',
      options: ['retry', 'abort'],
      default: 'retry',
    }),
    'max-pace': Flags.string({
      summary: "How much of the time the machine's CPU may be made to sleep, so that the other host catches up.",
      helpValue: 'PERCENT',
      default: '90%',
    }),
    'report-dir': Flags.string({
      summary: 'Where the report goes; the state directory when left out.',
      helpValue: 'DIR',
    }),
    bandwidth: bandwidthFlag,
    reconnect: reconnectFlag,
    plaintext: plaintextFlag,
  };

  /** Who reads the output may go; the migration goes on. */
  protected override get endsWithItsReader(): boolean {
    return false;
  }

  async run(): Promise<void> {
    const { KeyRing, Machine, migrate, writeReport } = await import('../index.js');
    const address = requireAddress(this.args.to);
    const { bandwidth, plaintext, reconnect } = this.flags;
    const bytesPerSecondMax = bandwidth === undefined ? undefined : requireRate(bandwidth, 'bandwidth');
    const reconnectMs = requireDuration(reconnect, 'reconnect');
    const migrationId = randomUUID();
    const home = await this.home();
    const policy = this.#policy();
    const machine = await Machine.open(this.args.name, { home, signal: this.signal });
    const status = new StatusLine(process.stderr, !this.jsonWanted);
    try {
      const result = await migrate(machine, {
        ...address,
        security: new KeyRing(home).security(plaintext),
        bytesPerSecondMax,
        reconnectMs,
        migrationId,
        policy,
        verify: this.flags.verify,
        onDivergence: this.flags['on-divergence'] === 'abort' ? 'abort' : 'retry',
        signal: this.signal,
        ...this.#watching(status),
      });
      status.end();
      const dir = this.flags['report-dir'] ?? home.migration(migrationId);
      const files = await writeReport(result.report, path.resolve(dir)).catch((error: unknown) => {
        // The machine has moved, or has not: that is what matters, and it is told first.
        this.remark(`no report: ${(error as Error).message}`);
        return null;
      });
      await this.note(home, { machine: machine.name, ...(files && { report: files.json }) });
      this.#tell(result, files?.html ?? null, files?.json ?? null);
    } finally {
      status.end();
      machine.close();
    }
  }

  #policy(): MigrateOptions['policy'] {
    const { timeout, 'max-downtime': maxDowntime, 'on-timeout': onTimeout, 'max-pace': maxPace } = this.flags;
    return {
      maxDowntimeMs: requireDuration(maxDowntime, 'max-downtime'),
      timeoutMs: requireDuration(timeout, 'timeout'),
      onTimeout: onTimeout === 'switch' ? 'switch' : 'abort',
      maxPace: requireShare(maxPace, 'max-pace', 0.95),
    };
  }

  #watching(status: StatusLine): Pick<MigrateOptions, 'onPhase' | 'onProgress' | 'onDiverged'> {
    const begunMs = performance.now();
    return {
      onPhase: ({ at }) => {
        const atMs = performance.now() - begunMs;
        this.progress({ phase: at, atMs });
        status.above(() => this.remark(this.style.dim(`${formatMs(atMs).padStart(9)}  ${at}`)));
      },
      onDiverged: (divergence) => {
        this.progress({ divergence });
        status.above(() => this.remark(this.style.warning(divergenceText(divergence))));
      },
      onProgress: (progress) => {
        this.progress({ progress });
        status.show(() => progressText(progress));
      },
    };
  }

  #tell({ report, error }: SourceResult, html: string | null, json: string | null): void {
    const { samples: _samples, ...short } = report;
    this.result({ migration: short, report: json }, () => resultLines(report, this.args.to, html));
    if (error !== null) this.failWith(error);
  }
}
