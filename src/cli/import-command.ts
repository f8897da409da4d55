// What `trmig spec from-qemu` and `trmig spec from-libvirt` have in common: a name, where the spec goes, how it is told.
import { Flags } from '@oclif/core';
import type { Command } from '@oclif/core';
import type { Imported } from '../index.js';
import { BaseCommand } from './base-command.js';
import { findingLines, writeNewFile } from './import-report.js';
import { styleFor } from './style.js';

export const importDescription =
  'Says of each thing what became of it, on stderr (with --json as `findings`): kept; changed, for a machine that replays ' +
  'or because the guest never sees it; or refused, and why. The exit code is 1 while something was refused or the spec is ' +
  'not complete: then it begins with comments that say what to decide.';

export const importFlags = {
  name: Flags.string({ summary: "The machine's name, instead of the one found.", helpValue: 'NAME' }),
  output: Flags.string({ char: 'o', summary: 'Write the spec to a new file, not to stdout.', helpValue: 'FILE' }),
};

export abstract class ImportCommand<T extends typeof Command> extends BaseCommand<T> {
  /** The name that was asked for. @throws E_MACHINE_NAME */
  protected async name(): Promise<string | undefined> {
    const { checkName } = await import('../index.js');
    const { name } = this.flags as { name?: string };
    return name === undefined ? undefined : checkName(name);
  }

  /** Tells what an import came to; `source` is what was imported. */
  protected async tell(imported: Imported, source: string): Promise<void> {
    const { importError, specText, undecided } = await import('../index.js');
    const { output } = this.flags as { output?: string };
    const { spec, findings } = imported;
    const open = undecided(imported);
    const error = importError(open, source);
    const text = specText(spec, open);
    if (output !== undefined) await writeNewFile(output, text);
    for (const line of findingLines(findings, styleFor(process.stderr))) this.remark(line);
    this.result({ spec, findings, output: output ?? null, error }, () =>
      output === undefined ? text.trimEnd() : `The spec is in ${output}`,
    );
    if (error !== null) this.failWith(error);
  }
}
