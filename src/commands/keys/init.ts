import { Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base-command.js';
import { certificateFacts, certificateLines } from '../../cli/keys-text.js';

export default class KeysInit extends BaseCommand<typeof KeysInit> {
  static override summary = "Make this host's key.";
  static override description =
    'Makes a private key, which stays in the state directory, and a certificate of it that is good for two years. Needs ' +
    'openssl.\n\n' +
    'Two hosts trust each other once each has the certificate of the other: run `keys init` on both, then on each ' +
    '`trmig keys show | ssh OTHER trmig keys trust -`.';
  static override examples = ['<%= config.bin %> keys init', '<%= config.bin %> keys init --renew'];
  static override flags = {
    renew: Flags.boolean({ summary: 'Replace a key that is there. The other hosts must then be given the new one.' }),
  };

  async run(): Promise<void> {
    const { KeyRing } = await import('../../index.js');
    const certificate = await new KeyRing(await this.home()).init({ renew: this.flags.renew });
    this.result({ key: certificateFacts(certificate) }, () => [
      'This host has a key now',
      ...certificateLines(certificate).map((line) => `  ${line}`),
      'Hand it over with: trmig keys show | ssh OTHER trmig keys trust -',
    ]);
  }
}
