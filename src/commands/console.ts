import { Args, Flags } from '@oclif/core';
import { attachConsole } from '../cli/attach.js';
import { BaseCommand } from '../cli/base-command.js';
import { followFile } from '../cli/follow-file.js';

export default class Console extends BaseCommand<typeof Console> {
  static override summary = "Show a machine's serial console.";
  static override description =
    'Prints what the guest wrote to its serial console, from the log file that outlives the machine. With --attach the ' +
    'terminal becomes the console; Ctrl-] detaches.';
  static override examples = [
    '<%= config.bin %> console web --lines 100',
    '<%= config.bin %> console web --follow',
    '<%= config.bin %> console web --attach',
  ];
  static override args = { name: Args.string({ description: 'Machine.', required: true }) };
  static override flags = {
    follow: Flags.boolean({ char: 'f', summary: 'Go on as the guest writes, until Ctrl-C.' }),
    lines: Flags.integer({
      char: 'n',
      summary: 'Begin with the last N lines; all when left out.',
      helpValue: 'N',
      min: 0,
    }),
    attach: Flags.boolean({ summary: 'Type to the guest; Ctrl-] detaches.', exclusive: ['follow', 'lines', 'json'] }),
  };

  async run(): Promise<void> {
    const { TrmigError } = await import('../index.js');
    const home = await this.home();
    const paths = home.machine(this.args.name);
    if (!(await home.machineNames()).includes(paths.name)) {
      throw new TrmigError('E_MACHINE_UNKNOWN', `there is no machine '${paths.name}' here`);
    }
    if (this.flags.attach) {
      this.remark(`Attached to ${paths.name}; Ctrl-] detaches.`);
      const how = await attachConsole(paths.consoleSocket, {
        input: process.stdin,
        output: process.stdout,
        signal: this.signal,
      });
      this.remark(how === 'detached' ? '\r\nDetached; the machine runs on.' : '\r\nThe machine has ended.');
      return;
    }
    const { follow, lines = Infinity } = this.flags;
    const decoder = new TextDecoder();
    for await (const bytes of followFile(paths.consoleLog, { follow, lines, signal: this.signal })) {
      if (this.jsonWanted) this.jsonLine({ text: decoder.decode(bytes, { stream: true }) });
      else this.write(bytes);
    }
  }
}
