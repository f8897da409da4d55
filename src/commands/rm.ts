import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../cli/base-command.js';

export default class Rm extends BaseCommand<typeof Rm> {
  static override summary = 'Forget a machine that does not run.';
  static override description =
    'Removes its folder: spec, logs, ownership journal, and the layers of its disks that trmig made. Recordings and the ' +
    "spec's own disk files stay. While a migration of it is unfinished, or while layers hold what the guest has written, it " +
    'is not removed without --force.';
  static override examples = ['<%= config.bin %> rm web'];
  static override args = { name: Args.string({ description: 'Machine.', required: true }) };
  static override flags = {
    force: Flags.boolean({ summary: 'Remove it although a migration is unfinished, or its disks go with it.' }),
  };

  async run(): Promise<void> {
    const { Machine, TrmigError, ownLayers, standingOf } = await import('../index.js');
    const { name } = this.args;
    const home = await this.home();
    const { ownership } = await standingOf(name, { home, signal: this.signal });
    if (!this.flags.force && (ownership.advice !== null || ownership.error !== null)) {
      const why = ownership.advice?.summary ?? ownership.error?.message ?? '';
      throw new TrmigError('E_UNSETTLED', `'${name}' is not removed: ${why}`, {
        ...(ownership.advice?.command && { hint: `Run: ${ownership.advice.command}` }),
        facts: { name },
      });
    }
    const lost = this.flags.force ? [] : await ownLayers(home.machine(name));
    if (lost.length > 0) {
      throw new TrmigError('E_DISKS', `'${name}' is not removed: what its guest wrote is in ${lost.join(', ')}`, {
        hint: `Remove it with all that: trmig rm ${name} --force`,
        facts: { name, layers: lost.length },
      });
    }
    await Machine.remove(name, { home });
    await this.note(home, { forgotten: name });
    this.result({ name, removed: true }, () => `${name} is forgotten`);
  }
}
