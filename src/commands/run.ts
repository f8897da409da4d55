import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../cli/base-command.js';
import { pairLines } from '../cli/table.js';

export default class Run extends BaseCommand<typeof Run> {
  static override summary = 'Start a machine.';
  static override description =
    'Starts QEMU detached: it outlives this command. The machine runs dormant, at full speed, until it is recorded or moved.';
  static override examples = [
    { description: 'A machine from a spec', command: '<%= config.bin %> run fixtures/specs/idle.yaml' },
    { description: 'A second one of the same spec', command: '<%= config.bin %> run idle.yaml --name idle2' },
  ];
  static override args = { spec: Args.string({ description: 'Machine spec, YAML or JSON.', required: true }) };
  static override flags = {
    name: Flags.string({ summary: "The machine's name, instead of the spec's.", helpValue: 'NAME' }),
    paused: Flags.boolean({ summary: 'Start with the guest stopped.' }),
  };

  async run(): Promise<void> {
    const { Machine, checkName, loadSpec } = await import('../index.js');
    const { name, paused } = this.flags;
    const spec = await loadSpec(this.args.spec);
    const home = await this.home();
    const machine = await Machine.start(name === undefined ? spec : { ...spec, name: checkName(name) }, {
      home,
      paused,
      signal: this.signal,
    });
    machine.close();
    await this.note(home, { machine: machine.name });
    const { paths } = machine;
    const result = {
      name: machine.name,
      pid: machine.process.pid,
      console: paths.consoleSocket,
      consoleLog: paths.consoleLog,
      folder: paths.folder,
    };
    this.result(result, () => [
      `${machine.name} runs${paused ? ', paused' : ''}`,
      ...pairLines([
        ['  pid', String(result.pid)],
        ['  console', `${result.consoleLog}  (trmig console ${machine.name})`],
      ]),
    ]);
  }
}
