// What the importers' tests share: command lines as one types them, and findings as one line each.
import { parseSpec, type MachineSpec } from '../../src/machine/spec.js';
import { specText, undecided, type Imported } from '../../src/machine/import/index.js';

/** A command line's words; 'single quotes' hold spaces. */
export function words(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
}

/** `verdict | input | spec | reason`, for matching. */
export function lines({ findings }: Imported): string[] {
  return findings.map(({ verdict, input, spec, reason }) => [verdict, input, spec ?? '-', reason ?? '-'].join(' | '));
}

/** The inputs that were refused. */
export function refusedInputs({ findings }: Imported): string[] {
  return findings.filter(({ verdict }) => verdict === 'refused').map(({ input }) => input);
}

/** The spec as trmig reads it from the file that the importer writes. */
export function readBack(imported: Imported): MachineSpec {
  return parseSpec(specText(imported.spec, undecided(imported)), { base: '/elsewhere', source: 'imported.yaml' });
}
