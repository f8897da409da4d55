import { Args } from '@oclif/core';
import { ImportCommand, importDescription, importFlags } from '../../cli/import-command.js';

export default class SpecFromLibvirt extends ImportCommand<typeof SpecFromLibvirt> {
  static override summary = "Make a machine spec from a libvirt domain's XML.";
  static override description = importDescription;
  static override examples = [
    '<%= config.bin %> spec from-libvirt web.xml --output web.yaml',
    {
      description: 'A domain that libvirt knows',
      command: 'virsh dumpxml --inactive web | <%= config.bin %> spec from-libvirt /dev/stdin',
    },
  ];
  static override args = { domain: Args.string({ description: "The domain's XML.", required: true }) };
  static override flags = importFlags;

  async run(): Promise<void> {
    const { importLibvirt, readImport } = await import('../../index.js');
    const source = this.args.domain;
    const text = await readImport(source);
    await this.tell(importLibvirt(text, { name: await this.name(), base: process.cwd(), source }), source);
  }
}
