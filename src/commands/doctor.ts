import { BaseCommand } from '../cli/base-command.js';
import type { FindingLevel } from '../index.js';

export default class Doctor extends BaseCommand<typeof Doctor> {
  static override summary = 'Check whether machines can be run, recorded and moved on this host.';
  static override description =
    'Each line is ok, warn or fail; the exit code is 1 when one fails. A tiny machine is started and ended to see that the ' +
    'tracer really loads into QEMU.';
  static override examples = ['<%= config.bin %> doctor', '<%= config.bin %> doctor --json'];

  async run(): Promise<void> {
    const { diagnose } = await import('../index.js');
    const paint: Record<FindingLevel, string> = {
      ok: this.style.good('ok  '),
      warn: this.style.warning('warn'),
      fail: this.style.bad('fail'),
    };
    for await (const finding of diagnose({ home: await this.home(), signal: this.signal })) {
      const { check, level, message, hint } = finding;
      if (level === 'fail') this.fails();
      this.result(finding, () => [
        `${paint[level]}  ${check.padEnd(20)}  ${message}`,
        ...(hint === null ? [] : [`${' '.repeat(28)}${this.style.dim(hint)}`]),
      ]);
    }
  }
}
