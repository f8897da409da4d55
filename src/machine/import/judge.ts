// Whether an imported spec is a machine that trmig can run and move, or what a person must still decide.
import { TrmigError, asTrmigError } from '../../errors.js';
import { importRefusalsMax } from '../../limits.js';
import { assertProfile } from '../profile.js';
import { parseSpec } from '../spec.js';
import { shown, type Imported } from './finding.js';
import { specText } from './spec-text.js';

const source = 'the spec';

/** What is left to decide, a line each; empty when the spec is complete, sound, and nothing was refused. */
export function undecided({ spec, findings }: Imported): string[] {
  const refused = findings.filter(({ verdict }) => verdict === 'refused');
  const lines = refused.map(({ input, reason }) => `${input}: ${reason ?? ''}`);
  try {
    // As it will be read: from the text.
    const read = parseSpec(specText(spec, []), { base: '/', source });
    assertProfile(read, read.strategy);
  } catch (thrown) {
    lines.push(...problemsOf(asTrmigError(thrown)));
  }
  return lines;
}

/** The lines of a message that lists problems. */
function problemsOf({ message }: TrmigError): string[] {
  const [head = '', ...listed] = message.split('\n  - ');
  return (listed.length > 0 ? listed : [head.replace(`${source}: `, '')]).map(shown);
}

/** The same as an error; null when nothing is left. */
export function importError(open: readonly string[], what: string): TrmigError | null {
  if (open.length === 0) return null;
  const lines = open.slice(0, importRefusalsMax).map((line) => `  - ${line}`);
  if (open.length > lines.length) lines.push(`  … and ${open.length - lines.length} more`);
  return new TrmigError('E_IMPORT', `${shown(what)} does not fit a spec as it is:\n${lines.join('\n')}`, {
    facts: { source: shown(what), open: open.length },
  });
}
