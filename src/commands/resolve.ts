import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../cli/base-command.js';
import { plaintextFlag } from '../cli/link-flags.js';
import { pairLines } from '../cli/table.js';
import { requireAddress } from '../cli/typed-values.js';
import type { Choices, Decision, Home, Resolution } from '../index.js';

export default class Resolve extends BaseCommand<typeof Resolve> {
  static override summary = 'Settle a migration that nobody can finish any more.';
  static override description =
    'For a machine of which `trmig status` says so. Look on the other host first, with `trmig status` there, and end a ' +
    '`trmig migrate` or `trmig receive` that is still at it. Without a flag it says how things stand and what each ' +
    'decision would do, and the exit code is 1 while there is something to decide.\n\n' +
    "--ask: the other host's journal decides, as far as it can. A `trmig receive` must listen there.\n\n" +
    '--here: this host runs the machine from now on. Say it only when the other host certainly does not run it and never ' +
    'will: it was settled with --there, or its QEMU has ended for good.\n\n' +
    '--there: this host gives up its claim. Say it when the other host runs the machine, or is to run it. What this ' +
    "host's QEMU holds of it is lost.\n\n" +
    'Decide --there on the one host before --here on the other. Saying --here on both makes two machines of one.';
  static override examples = [
    { description: 'How things stand', command: '<%= config.bin %> resolve web' },
    { description: 'The other host knows', command: '<%= config.bin %> resolve web --ask 10.0.0.2:7600' },
    {
      description: 'The other host does not have it, and never will',
      command: '<%= config.bin %> resolve web --here',
    },
    { description: 'The other host has it', command: '<%= config.bin %> resolve web --there' },
  ];
  static override args = { name: Args.string({ description: 'Machine.', required: true }) };
  static override flags = {
    ask: Flags.string({
      summary: "Do what follows from the journal of the host that answers here; this host's own where that can tell.",
      helpValue: 'HOST:PORT',
      exclusive: ['here', 'there'],
    }),
    plaintext: plaintextFlag,
    here: Flags.boolean({ summary: 'This host runs it from now on; no other does or will.', exclusive: ['there'] }),
    there: Flags.boolean({ summary: 'This host gives up its claim, and ends its QEMU.' }),
  };

  async run(): Promise<void> {
    const { choicesFor, resolveMachine } = await import('../index.js');
    const { name } = this.args;
    const home = await this.home();
    const decision = await this.#decision(home);
    if (decision === null) {
      const choices = await choicesFor(name, { home });
      if (!choices.settled) this.fails();
      this.result(choices, () => this.#choiceLines(choices));
      return;
    }
    const resolution = await resolveMachine(name, { home, decision, signal: this.signal });
    if (resolution.journaled.length > 0) await this.note(home, { machine: name });
    this.result({ resolution }, () => resolutionLine(resolution));
  }

  async #decision(home: Home): Promise<Decision | null> {
    const { ask, here, there, plaintext } = this.flags;
    if (ask === undefined) return here ? 'here' : there ? 'there' : null;
    const { KeyRing, askDecision } = await import('../index.js');
    const security = new KeyRing(home).security(plaintext);
    return askDecision(this.args.name, { home, ...requireAddress(ask), security, signal: this.signal });
  }

  #choiceLines({ machine, settled, owner, last, here, there }: Choices): string[] {
    if (settled || last === null) return [settledLine(machine, owner)];
    const whose = owner === 'here' ? 'this host owns it' : `${last.peer} may own it`;
    return [
      `The migration ${last.migrationId} of ${machine} is unfinished (${last.role}, ${last.state}): ${whose}`,
      ...pairLines([
        ['  --ask HOST:PORT', `does what the journal of ${last.peer} says, where \`trmig receive\` listens`],
        ['  --here', here ?? 'is refused'],
        ['  --there', there ?? `is refused: ${machine} is this host's`],
      ]),
    ];
  }
}

function settledLine(machine: string, owner: Decision): string {
  return `Nothing is unfinished: ${machine} is ${owner === 'here' ? "this host's" : "another host's"}`;
}

function resolutionLine({ machine, owner, journaled, running }: Resolution): string {
  if (journaled.length === 0) return settledLine(machine, owner);
  if (owner === 'there') return `${machine} is given up here`;
  return running === true ? `${machine} goes on here` : `${machine} is this host's; it does not run`;
}
