// What the host itself must offer: node, room, permissions, the test guests.
import { access, constants, readFile, stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { asTrmigError } from '../errors.js';
import { GIB, MIB } from '../limits.js';
import { ARCHITECTURES } from '../machine/index.js';
import { xxh3 } from '../native/index.js';
import { fail, ok, warn, type CheckContext, type Finding } from './finding.js';

/** package.json's `engines` says the same. */
const nodeMin = [20, 15] as const;
const memoryFreeBytesMin = 512 * MIB;
const diskFreeBytesMin = 2 * GIB;

export function checkNode(version: string = process.versions.node): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const recent = major > nodeMin[0] || (major === nodeMin[0] && minor >= nodeMin[1]);
  if (recent) return ok('node', `Node ${version}`);
  return fail(
    'node',
    `Node ${version} is too old`,
    `Install Node ${nodeMin.join('.')} or newer: scripts/setup.sh does.`,
  );
}

/** XXH3-64 of nothing, as the specification has it. */
const xxh3OfNothing = 0x2d06800538d394c2n;

export function checkAddon(): Finding {
  try {
    const found = xxh3(new Uint8Array(0));
    if (found === xxh3OfNothing) return ok('addon', 'the native addon loads');
    return fail('addon', 'the native addon computes wrong digests', 'Build it again: make clean native.');
  } catch (thrown) {
    const { message, hint } = asTrmigError(thrown);
    return fail('addon', message, hint);
  }
}

/** Post-copy will need it; the trace strategy does not. */
export async function checkUserfaultfd(): Promise<Finding> {
  const allowed = process.getuid?.() === 0 || (await read('/proc/sys/vm/unprivileged_userfaultfd')) === '1';
  const device = await isWritable('/dev/userfaultfd');
  if (allowed || device) return ok('userfaultfd', 'userfaultfd may be used');
  return warn(
    'userfaultfd',
    'userfaultfd may not be used: post-copy would not work',
    'Run as root, or: sysctl vm.unprivileged_userfaultfd=1',
  );
}

export async function checkMemory(): Promise<Finding> {
  const meminfo = (await read('/proc/meminfo')) ?? '';
  const availableKib = /^MemAvailable:\s+(\d+) kB$/m.exec(meminfo)?.[1];
  if (availableKib === undefined) return warn('memory', 'it is not known how much memory is free', 'Look at free -m.');
  const bytes = Number(availableKib) * 1024;
  const text = `${gib(bytes)} of memory free`;
  if (bytes >= memoryFreeBytesMin) return ok('memory', text);
  return warn('memory', text, 'End what is not needed: a destination needs as much memory as the guest has.');
}

export async function checkDisk({ home }: CheckContext): Promise<Finding> {
  const folder = await nearest(home.root);
  try {
    await access(folder, constants.W_OK);
  } catch {
    return fail('disk', `${folder} cannot be written`, 'Set TRMIG_HOME to a directory that you can write.');
  }
  const { bavail, bsize } = await statfs(folder);
  const bytes = bavail * bsize;
  const text = `${gib(bytes)} free for ${home.root}`;
  if (bytes >= diskFreeBytesMin) return ok('disk', text);
  return warn('disk', text, 'Free some space, or set TRMIG_HOME to another disk: a recording holds the guest’s RAM.');
}

export async function checkGuests(): Promise<Finding> {
  const here = path.dirname(fileURLToPath(import.meta.url));
  // Compiled to dist/doctor or build/src/doctor.
  for (const up of ['../..', '../../..']) {
    const guests = path.resolve(here, up, 'out/guests');
    const kernels = ARCHITECTURES.map((arch) => stat(path.join(guests, arch, 'vmlinuz')).catch(() => null));
    if (!(await Promise.all(kernels)).includes(null)) return ok('guests', `the demo guests are built (${guests})`);
  }
  return warn('guests', 'the demo guests are not built', 'Run: make guests (only the demo and the tests need them).');
}

const gib = (bytes: number): string => `${(bytes / GIB).toFixed(1)} GiB`;

async function read(file: string): Promise<string | null> {
  return readFile(file, 'utf8').then(
    (text) => text.trim(),
    () => null,
  );
}

async function isWritable(file: string): Promise<boolean> {
  return access(file, constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  );
}

/** The folder, or the nearest above it that exists. */
async function nearest(folder: string): Promise<string> {
  for (let at = folder; ; at = path.dirname(at)) {
    if ((await stat(at).catch(() => null)) !== null || at === path.dirname(at)) return at;
  }
}
