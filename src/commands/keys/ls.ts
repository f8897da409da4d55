import { BaseCommand } from '../../cli/base-command.js';
import { trustedFacts } from '../../cli/keys-text.js';
import { tableLines } from '../../cli/table.js';

export default class KeysLs extends BaseCommand<typeof KeysLs> {
  static override summary = 'List the hosts that this one trusts.';
  static override description = 'By the names they have here, with the SHA-256 of their certificates.';
  static override examples = ['<%= config.bin %> keys ls', '<%= config.bin %> keys ls --json | jq -r .name'];

  async run(): Promise<void> {
    const { KeyRing, dayOf } = await import('../../index.js');
    const all = await new KeyRing(await this.home()).trusted();
    if (this.jsonWanted) {
      for (const one of all) this.jsonLine(trustedFacts(one));
      return;
    }
    if (all.length === 0) {
      this.remark('This host trusts no other. On another one: trmig keys show | ssh THIS trmig keys trust -');
      return;
    }
    const rows = all.map(({ name, certificate: { host, expiresMs, fingerprint } }) => [
      name,
      host,
      expiresMs > Date.now() ? dayOf(expiresMs) : `${dayOf(expiresMs)}, over`,
      fingerprint,
    ]);
    this.print(tableLines([{ title: 'NAME' }, { title: 'HOST' }, { title: 'EXPIRES' }, { title: 'SHA-256' }], rows));
  }
}
