import { Args } from '@oclif/core';
import { BaseCommand } from '../../cli/base-command.js';
import { trustedFacts } from '../../cli/keys-text.js';

export default class KeysForget extends BaseCommand<typeof KeysForget> {
  static override summary = 'Trust a host no more.';
  static override description = 'From the next connection on; one that is open goes on.';
  static override examples = ['<%= config.bin %> keys forget b'];
  static override args = { name: Args.string({ description: 'Its name here.', required: true }) };

  async run(): Promise<void> {
    const { KeyRing } = await import('../../index.js');
    const forgotten = await new KeyRing(await this.home()).forget(this.args.name);
    this.result({ forgotten: trustedFacts(forgotten) }, () => `${forgotten.name} is no longer trusted`);
  }
}
