import { BaseCommand } from '../../cli/base-command.js';
import { certificateFacts, certificateLines } from '../../cli/keys-text.js';

export default class KeysShow extends BaseCommand<typeof KeysShow> {
  static override summary = "Print this host's certificate, to hand over.";
  static override description = 'It is no secret. A host that does not trust this one names its SHA-256.';
  static override examples = [
    '<%= config.bin %> keys show',
    {
      description: 'Have another host trust this one',
      command: '<%= config.bin %> keys show | ssh b trmig keys trust -',
    },
  ];

  async run(): Promise<void> {
    const { KeyRing } = await import('../../index.js');
    const { certificate } = await new KeyRing(await this.home()).credentials();
    this.result({ key: certificateFacts(certificate) }, () => [
      ...certificateLines(certificate),
      certificate.pem.trim(),
    ]);
  }
}
