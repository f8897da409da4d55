import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base-command.js';
import { givenText } from '../../cli/given-text.js';
import { certificateLines, trustedFacts } from '../../cli/keys-text.js';
import { certificateBytesMax } from '../../limits.js';

export default class KeysTrust extends BaseCommand<typeof KeysTrust> {
  static override summary = 'Trust another host: it may send machines here, and be sent them.';
  static override description =
    'Takes what `trmig keys show` prints there, over a way that you trust (ssh). From then on this host speaks with that ' +
    'one, and with nobody who has another key. A receiver that runs already knows at once.';
  static override examples = [
    'ssh b trmig keys show | <%= config.bin %> keys trust -',
    '<%= config.bin %> keys trust b.pem --name b',
  ];
  static override args = {
    certificate: Args.string({ description: 'File with the certificate; - for the standard input.', required: true }),
  };
  static override flags = {
    name: Flags.string({ summary: 'What to call it here; what it calls itself when left out.', helpValue: 'NAME' }),
    replace: Flags.boolean({ summary: 'Its key is a new one: forget the certificate that has this name.' }),
  };

  async run(): Promise<void> {
    const { KeyRing } = await import('../../index.js');
    const file = this.args.certificate;
    const given = await givenText(file, certificateBytesMax);
    const source = file === '-' ? 'the standard input' : file;
    const { name, replace } = this.flags;
    const trusted = await new KeyRing(await this.home()).trust(given, { source, name, replace });
    this.result({ trusted: trustedFacts(trusted) }, () => [
      `${trusted.name} is trusted`,
      ...certificateLines(trusted.certificate).map((line) => `  ${line}`),
    ]);
  }
}
