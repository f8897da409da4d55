import { BaseCommand } from '../cli/base-command.js';
import { tableLines } from '../cli/table.js';

export default class Ls extends BaseCommand<typeof Ls> {
  static override summary = 'List the machines of this host.';
  static override description =
    'running; stopped: ended in order; dead: its QEMU is gone without having said so (a crash, a kill, a reboot).';
  static override examples = ['<%= config.bin %> ls', '<%= config.bin %> ls --json | jq -r .name'];

  async run(): Promise<void> {
    const { Machine } = await import('../index.js');
    const machines = await Machine.list({ home: await this.home() });
    if (this.jsonWanted) {
      for (const machine of machines) this.jsonLine(machine);
      return;
    }
    if (machines.length === 0) {
      this.remark('No machines. Start one with: trmig run SPEC');
      return;
    }
    const rows = machines.map(({ name, state, pid }) => [name, state, pid === null ? '-' : String(pid)]);
    this.print(tableLines([{ title: 'NAME' }, { title: 'STATE' }, { title: 'PID', right: true }], rows));
  }
}
