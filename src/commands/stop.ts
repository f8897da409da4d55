import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../cli/base-command.js';

export default class Stop extends BaseCommand<typeof Stop> {
  static override summary = 'End a machine.';
  static override description =
    'Ends QEMU in order, so that it flushes its disks; the guest is not asked. A machine that is being recorded or moved ' +
    'is not ended without --force.';
  static override examples = ['<%= config.bin %> stop web', '<%= config.bin %> stop web --force'];
  static override args = { name: Args.string({ description: 'Machine.', required: true }) };
  static override flags = { force: Flags.boolean({ summary: 'Kill it, whatever it is doing.' }) };

  async run(): Promise<void> {
    const { Machine, TrmigError } = await import('../index.js');
    const { force } = this.flags;
    const home = await this.home();
    const machine = await Machine.open(this.args.name, { home, signal: this.signal, tracer: !force });
    try {
      if (!force) {
        const { tracer } = await machine.status({ signal: this.signal });
        if (tracer !== null && tracer.mode !== 'dormant') {
          throw new TrmigError('E_BUSY', `'${machine.name}' is ${tracer.mode}: it is not ended`, {
            hint: `Wait for it, or end it with: trmig stop ${machine.name} --force`,
            facts: { name: machine.name, mode: tracer.mode },
          });
        }
      }
      await machine.stop({ graceful: !force, signal: this.signal });
      this.result(
        { name: machine.name, pid: machine.process.pid, state: 'stopped' },
        () => `${machine.name} has ended`,
      );
    } finally {
      machine.close();
    }
  }
}
