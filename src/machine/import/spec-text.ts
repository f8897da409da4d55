// An imported spec as the YAML file that a person goes on with.
import { stringify } from 'yaml';
import { importRefusalsMax } from '../../limits.js';
import type { SpecFields } from './finding.js';

const order: readonly (keyof SpecFields)[] = [
  ...(['name', 'arch', 'board', 'cpu', 'memory', 'smp', 'hpet', 'shift'] as const),
  ...(['kernel', 'initrd', 'append', 'disks', 'nics', 'devices', 'console'] as const),
];

/** YAML that parseSpec reads; `open` is what a person must still decide, as comments on top. */
export function specText(spec: SpecFields, open: readonly string[]): string {
  const fields = Object.fromEntries(order.filter((key) => spec[key] !== undefined).map((key) => [key, spec[key]]));
  const comments = open
    .slice(0, importRefusalsMax)
    .map((line) => `# to decide: ${line}\n`)
    .join('');
  return `${comments}${stringify(fields, { version: '1.2', lineWidth: 0 })}`;
}
