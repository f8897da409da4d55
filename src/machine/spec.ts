// A machine's spec is all that is needed to start it again, the same, on another host. It is written by people, so every
// problem is found at once and named by its path; and it arrives over the wire and with recordings, so it is hostile until
// it fits. docs/spec.md describes the fields.
//
// Invariants:
// - A MachineSpec is complete: defaults filled in, paths absolute. parseSpec(formatSpec(spec)) equals spec.
// - Unknown keys are refused: a misspelt `hpett: off` must not be ignored.
import { open, stat } from 'node:fs/promises';
import path from 'node:path';
import { Lexer, Parser, parseDocument } from 'yaml';
import type { z } from 'zod';
import { TrmigError } from '../errors.js';
import { specBytesMax, specDepthMax, specProblemsMax } from '../limits.js';
import { formatBytes } from './memory.js';
import { ARCHITECTURES, architectureFacts, specSchema, type MachineSpec } from './spec-schema.js';

export { ARCHITECTURES, SPEC_FORMAT, STRATEGIES } from './spec-schema.js';
export type { Architecture, DiskSpec, MachineSpec, NicSpec, Strategy } from './spec-schema.js';

interface Problem {
  /** Such as `disks[0].file`; empty for the whole spec. */
  readonly path: string;
  readonly reason: string;
}

export interface ParseSpecOptions {
  /** The folder that relative paths are relative to. */
  readonly base: string;
  /** What the text is called in messages, usually its path. */
  readonly source: string;
}

/**
 * Reads a spec from YAML (or JSON, which is YAML).
 * @throws E_SPEC with all problems, each with its path and reason
 */
export function parseSpec(text: string, options: ParseSpecOptions): MachineSpec {
  if (Buffer.byteLength(text) > specBytesMax) {
    throw refusal(options.source, [{ path: '', reason: `longer than ${specBytesMax} bytes` }]);
  }
  return checkSpec(parseYaml(text, options.source), options);
}

/** Checks a spec that is an object already (from a manifest, say). @throws E_SPEC as parseSpec */
export function checkSpec(value: unknown, options: ParseSpecOptions): MachineSpec {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw refusal(options.source, [{ path: '', reason: 'a spec is a mapping of fields, such as name: web' }]);
  }
  const parsed = specSchema.safeParse(value);
  const problems = crossProblems(value as Record<string, unknown>);
  if (!parsed.success) problems.unshift(...parsed.error.issues.flatMap((issue) => describe(issue, value)));
  if (!parsed.success || problems.length > 0) throw refusal(options.source, problems);
  const { memory, ...rest } = parsed.data;
  const { boards, cpu } = architectureFacts[rest.arch];
  const absolute = (file: string): string => path.resolve(options.base, file);
  return {
    ...rest,
    board: rest.board ?? boards[0],
    cpu: rest.cpu ?? cpu,
    memoryBytes: memory,
    qemu: { ...rest.qemu, ...(rest.qemu.binary !== undefined && { binary: absolute(rest.qemu.binary) }) },
    ...(rest.kernel !== undefined && { kernel: absolute(rest.kernel) }),
    ...(rest.initrd !== undefined && { initrd: absolute(rest.initrd) }),
    disks: rest.disks.map((disk) => ({ ...disk, file: absolute(disk.file) })),
  };
}

/** Reads a spec from a file; relative paths in it are relative to the file's folder. @throws E_SPEC */
export async function loadSpec(file: string): Promise<MachineSpec> {
  const source = path.resolve(file);
  return parseSpec(await readBounded(source), { base: path.dirname(source), source });
}

/** The form that trmig stores and sends: JSON with every field, which parseSpec reads back. */
export function formatSpec(spec: MachineSpec): string {
  const { memoryBytes, ...rest } = spec;
  return `${JSON.stringify({ ...rest, memory: formatBytes(memoryBytes) }, null, 2)}\n`;
}

/**
 * Checks that every file the spec names is there and is a file; `disks: false` leaves its disks out, whose layers are
 * elsewhere once the machine has moved. @throws E_SPEC with all that are not
 */
export async function checkFiles(spec: MachineSpec, options: { readonly disks?: boolean } = {}): Promise<void> {
  const named: [string, string | undefined][] = [
    ['qemu.binary', spec.qemu.binary],
    ['kernel', spec.kernel],
    ['initrd', spec.initrd],
    ...(options.disks === false ? [] : spec.disks).map((disk, i): [string, string] => [`disks[${i}].file`, disk.file]),
  ];
  const problems: Problem[] = [];
  for (const [field, file] of named) {
    if (file === undefined) continue;
    try {
      const found = await stat(file);
      // A disk may be a block device.
      if (!found.isFile() && !found.isBlockDevice()) problems.push({ path: field, reason: `${file} is not a file` });
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
      problems.push({ path: field, reason: code === 'ENOENT' ? `there is no ${file}` : `${file}: ${code}` });
    }
  }
  if (problems.length > 0) throw refusal(`the spec of '${spec.name}'`, problems);
}

async function readBounded(source: string): Promise<string> {
  try {
    const handle = await open(source, 'r');
    try {
      // One byte more than allowed is enough to know; a spec that is a device or a pipe must not be read for ever.
      const buffer = Buffer.alloc(specBytesMax + 1);
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
      return buffer.toString('utf8', 0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw refusal(source, [{ path: '', reason: `cannot be read: ${code}` }], cause);
  }
}

function parseYaml(text: string, source: string): unknown {
  try {
    if (isDeep(text)) throw refusal(source, [{ path: '', reason: 'nested too deeply to be a spec' }]);
    const document = parseDocument(text, { version: '1.2', uniqueKeys: true, prettyErrors: true });
    const complaints = [...document.errors, ...document.warnings];
    if (complaints.length > 0) {
      throw refusal(
        source,
        complaints.map((complaint) => ({ path: '', reason: complaint.message.split('\n')[0]!.replace(/:$/, '') })),
      );
    }
    // Aliases could make a small file large; a spec has no use for many.
    return document.toJS({ maxAliasCount: 20 }) as unknown;
  } catch (cause) {
    if (cause instanceof TrmigError) throw cause;
    throw refusal(source, [{ path: '', reason: cause instanceof Error ? cause.message : String(cause) }], cause);
  }
}

/** Whether the text nests beyond all sense, found without recursion. */
function isDeep(text: string): boolean {
  const parser = new Parser();
  for (const lexeme of new Lexer().lex(text)) {
    for (const _ of parser.next(lexeme)) {
      // The tokens themselves are of no interest here; parsing is what moves the stack.
    }
    if (parser.stack.length > specDepthMax) return true;
  }
  return false;
}

function describe(issue: z.core.$ZodIssue, spec: object): Problem[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ path: formatPath([...issue.path, key]), reason: 'there is no such field' }));
  }
  const missing = issue.code.startsWith('invalid_') && valueAt(spec, issue.path) === undefined;
  // A message of our own says more than that something is missing.
  const reason = missing && !issue.message.includes('needs a') ? 'is missing' : issue.message;
  return [{ path: formatPath(issue.path), reason }];
}

function valueAt(spec: object, parts: readonly PropertyKey[]): unknown {
  return parts.reduce<unknown>(
    (value, part) => (value as Record<PropertyKey, unknown> | null | undefined)?.[part],
    spec,
  );
}

function formatPath(parts: readonly PropertyKey[]): string {
  const joined = parts
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part).slice(0, 60)}`))
    .join('');
  return joined.replace(/^\./, '');
}

/** What one field alone cannot tell. Looks at the raw values, so that it is told together with the fields' own problems. */
function crossProblems(raw: Record<string, unknown>): Problem[] {
  const problems: Problem[] = [];
  const { arch = 'x86_64', board, kernel, nics } = raw;
  const known = ARCHITECTURES.find((name) => name === arch);
  const others = ARCHITECTURES.filter((name) => name !== known).flatMap((name) => architectureFacts[name].boards);
  if (known !== undefined && others.some((other) => other === board)) {
    const fitting = architectureFacts[known].boards.join(' or ');
    problems.push({ path: 'board', reason: `${String(board)} is not a board for ${known}; use ${fitting}` });
  }
  if (known === 'aarch64' && kernel === undefined) {
    problems.push({ path: 'kernel', reason: 'is missing: a virt machine has no firmware to boot from a disk by' });
  }
  for (const field of ['initrd', 'append']) {
    if (raw[field] !== undefined && kernel === undefined) {
      problems.push({ path: field, reason: 'needs a kernel: it is handed to the kernel that QEMU loads' });
    }
  }
  const macs = new Set<string>();
  for (const [i, nic] of (Array.isArray(nics) ? nics : []).entries()) {
    const mac: unknown = (nic as { mac?: unknown } | null)?.mac;
    if (typeof mac !== 'string') continue;
    if (macs.has(mac.toLowerCase())) problems.push({ path: `nics[${i}].mac`, reason: 'another nic has this address' });
    macs.add(mac.toLowerCase());
  }
  return problems;
}

function refusal(source: string, problems: readonly Problem[], cause?: unknown): TrmigError {
  const shown = problems.slice(0, specProblemsMax);
  const lines = shown.map(({ path: at, reason }) => (at === '' ? reason : `${at}: ${reason}`));
  if (problems.length > shown.length) lines.push(`… and ${problems.length - shown.length} more`);
  const what = lines.length === 1 ? ` ${lines[0]}` : `\n${lines.map((line) => `  - ${line}`).join('\n')}`;
  const fields = shown.map((problem) => problem.path).filter((at) => at !== '');
  return new TrmigError('E_SPEC', `${source}:${what}`, {
    cause,
    facts: { source, problems: problems.length, fields: fields.join(' ') },
  });
}
