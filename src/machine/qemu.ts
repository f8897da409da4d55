// Finding a QEMU of the right version. A binary that was named (in the spec, in TRMIG_QEMU) is used or refused, never passed
// over for another; but a TRMIG_QEMU that is called qemu-system-x86_64 is not meant for an aarch64 machine. Otherwise the same order as scripts/qemu-path.sh: the system's if it is of that version, then the private
// one that scripts/setup.sh made.
import { execFile } from 'node:child_process';
import { access, constants, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { TrmigError } from '../errors.js';
import { ARCHITECTURES, type MachineSpec } from './spec-schema.js';

export interface FoundQemu {
  readonly binary: string;
  /** Such as "10.0.2". */
  readonly version: string;
}

/** The text of `--version` to "10.0.2"; null when it is not QEMU's. */
export function parseVersion(text: string): string | null {
  return /^QEMU emulator version (\d+\.\d+\.\d+)/m.exec(text)?.[1] ?? null;
}

/** Whether `found` ("10.0.2") is of the line `wanted` ("10.0", or exactly "10.0.2"). */
export function isVersion(found: string, wanted: string): boolean {
  return found === wanted || found.startsWith(`${wanted}.`);
}

/**
 * Finds the QEMU for a spec.
 * @throws E_QEMU_NOT_FOUND, E_QEMU_VERSION (naming what was found and what is wanted), E_ABORTED
 */
export async function findQemu(
  spec: Pick<MachineSpec, 'qemu' | 'arch'>,
  options: { env?: NodeJS.ProcessEnv; signal?: AbortSignal | undefined } = {},
): Promise<FoundQemu> {
  const { env = process.env, signal } = options;
  const program = `qemu-system-${spec.arch}`;
  const named = spec.qemu.binary ?? fromEnvironment(program, env);
  if (named) {
    const where = spec.qemu.binary === undefined ? 'TRMIG_QEMU' : 'qemu.binary';
    return requireVersion({ binary: named, version: await askVersion(named, where, signal) }, spec.qemu.version);
  }
  let mismatch: FoundQemu | null = null;
  for (const binary of await candidates(program, env)) {
    const found = { binary, version: await askVersion(binary, 'the search', signal) };
    if (isVersion(found.version, spec.qemu.version)) return found;
    mismatch ??= found;
  }
  if (mismatch) return requireVersion(mismatch, spec.qemu.version);
  throw new TrmigError('E_QEMU_NOT_FOUND', `there is no ${program}, neither on the PATH nor from scripts/setup.sh`, {
    facts: { program, wanted: spec.qemu.version },
  });
}

/** TRMIG_QEMU, unless its name says that it emulates another architecture. */
function fromEnvironment(program: string, env: NodeJS.ProcessEnv): string | undefined {
  const named = env['TRMIG_QEMU'];
  const others = ARCHITECTURES.map((arch) => `qemu-system-${arch}`).filter((name) => name !== program);
  return named !== undefined && others.includes(path.basename(named)) ? undefined : named;
}

function requireVersion(found: FoundQemu, wanted: string): FoundQemu {
  if (isVersion(found.version, wanted)) return found;
  throw new TrmigError('E_QEMU_VERSION', `${found.binary} is QEMU ${found.version}, and the spec wants ${wanted}`, {
    facts: { binary: found.binary, found: found.version, wanted },
  });
}

/** Where a program of QEMU's may lie, in the order of the search: absolute paths of files that can be run. */
export async function candidates(program: string, env: NodeJS.ProcessEnv = process.env): Promise<string[]> {
  const cache = env['XDG_CACHE_HOME'] || path.join(env['HOME'] || os.homedir(), '.cache');
  const onPath = (env['PATH'] ?? '').split(':').filter((folder) => path.isAbsolute(folder));
  const places = [
    ...onPath.map((folder) => path.join(folder, program)),
    path.join(cache, 'trmig/qemu-10.0/bin', program),
  ];
  const runnable = await Promise.all(
    [...new Set(places)].map(async (file) => ((await isRunnable(file)) ? [file] : [])),
  );
  return runnable.flat();
}

async function isRunnable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return (await stat(file)).isFile();
  } catch {
    return false;
  }
}

function askVersion(binary: string, where: string, signal: AbortSignal | undefined): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { timeout: 10_000, maxBuffer: 64 * 1024, ...(signal && { signal }) };
    execFile(binary, ['--version'], options, (cause, stdout, stderr) => {
      const version = parseVersion(stdout);
      if (!cause && version !== null) {
        resolve(version);
        return;
      }
      if (signal?.aborted) {
        reject(new TrmigError('E_ABORTED', 'looking for QEMU was cancelled', { cause }));
        return;
      }
      const said = stderr.trim().split('\n').at(-1) || cause?.message.split('\n')[0] || 'it is not QEMU';
      const message = `${binary} (from ${where}) does not run as QEMU: ${said}`;
      reject(new TrmigError('E_QEMU_NOT_FOUND', message, { cause, facts: { binary, where } }));
    });
  });
}
