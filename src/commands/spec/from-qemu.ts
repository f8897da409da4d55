import { Args } from '@oclif/core';
import { ImportCommand, importDescription, importFlags } from '../../cli/import-command.js';

export default class SpecFromQemu extends ImportCommand<typeof SpecFromQemu> {
  static override summary = 'Make a machine spec from a QEMU command line.';
  static override description = importDescription;
  static override examples = [
    '<%= config.bin %> spec from-qemu -- qemu-system-x86_64 -m 2G -drive file=root.qcow2,format=qcow2,if=virtio',
    {
      description: 'Of a QEMU that runs, into a file',
      command: 'xargs -0 -a /proc/1234/cmdline <%= config.bin %> spec from-qemu --output web.yaml --',
    },
  ];
  static override args = {
    command: Args.string({ description: "QEMU's command line, after `--`, as it is typed.", required: true }),
  };
  static override flags = importFlags;
  /** What follows `--` is QEMU's. */
  static override strict = false;

  async run(): Promise<void> {
    const { TrmigError, importQemu } = await import('../../index.js');
    const end = this.argv.indexOf('--');
    const words = end < 0 ? [] : this.argv.slice(end + 1);
    if (words.length === 0) {
      throw new TrmigError('E_USAGE', 'there is no QEMU command line', { hint: 'Write it after `--`.' });
    }
    await this.tell(importQemu(words, { name: await this.name(), base: process.cwd() }), 'this command line');
  }
}
