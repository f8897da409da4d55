// What became of one thing that a QEMU command line or a libvirt domain asks for. Nobody's machine is rewritten silently: an
// importer says something about everything it was given, also about what it does not know.
//
// Invariant: a finding's texts hold no control characters and are bounded; they come from foreign files and go to terminals.
import { importTextCharsMax } from '../../limits.js';

/**
 * `kept`: the spec says it, or trmig does it anyway. `changed`: something else stands in its place, or it is left out and the
 * guest can do without. `refused`: the guest may miss it, or nobody knows what it is; a person must decide.
 */
export type Verdict = 'kept' | 'changed' | 'refused';

export interface ImportFinding {
  /** What was asked for: an option with its value, or an XPath in the domain with its value. */
  readonly input: string;
  readonly verdict: Verdict;
  /** What the spec has for it, such as `memory: 2G` or `disks[0]`; null when it has nothing. */
  readonly spec: string | null;
  /** Why it was changed or refused; null when there is nothing to say about what was kept. */
  readonly reason: string | null;
}

/** A spec as a person would write it: fields that have the default are left out. It may be incomplete. */
export interface SpecFields {
  name: string;
  arch?: string;
  board?: string;
  hpet?: boolean;
  cpu?: string;
  memory?: string;
  smp?: number;
  shift?: number;
  kernel?: string;
  initrd?: string;
  append?: string;
  disks?: DiskFields[];
  nics?: NicFields[];
  devices?: string[];
  console?: 'serial' | 'none';
}

/** `format` is missing where nobody said it: a person must. */
export interface DiskFields {
  file: string;
  format?: string;
  readonly?: boolean;
}

export interface NicFields {
  backend: 'tap' | 'user';
  interface?: string;
  mac?: string;
}

export interface Imported {
  readonly spec: SpecFields;
  readonly findings: readonly ImportFinding[];
}

export interface ImportOptions {
  /** The machine's name, instead of the one that the input has. */
  readonly name?: string | undefined;
  /** The folder that relative paths in the input are relative to. */
  readonly base: string;
}

/** Foreign text as it may be shown: one line, bounded. */
export function shown(text: string): string {
  // eslint-disable-next-line no-control-regex
  const plain = text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]+/g, ' ').trim();
  if (plain === '') return "''";
  return plain.length <= importTextCharsMax ? plain : `${plain.slice(0, importTextCharsMax - 1)}…`;
}
