// Whether QEMU and the tracer work together here. The only proof is to try: a machine without a disk is started
// stopped, in a state directory of its own, asked a few things, and ended.
// Invariant: whatever happens, that QEMU and its directory are gone afterwards.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { asTrmigError } from '../errors.js';
import { imagePageBytes } from '../limits.js';
import { Home, Machine, findQemu, findTracer, parseSpec, type Architecture } from '../machine/index.js';
import { readPages } from '../native/index.js';
import { fail, ok, warn, type CheckContext, type Finding } from './finding.js';

const startMsMax = 20_000;

/** The QEMU for one architecture. Most hosts run x86_64 machines only: they do not need the other one. */
export async function checkQemu({ signal }: CheckContext, arch: Architecture): Promise<Finding> {
  const check = arch === 'x86_64' ? 'qemu' : `qemu-${arch}`;
  try {
    const { binary, version } = await findQemu({ qemu: { version: '10.0' }, arch }, { signal });
    return ok(check, `QEMU ${version} for ${arch} (${binary})`);
  } catch (thrown) {
    if (arch === 'x86_64') return failed(check, thrown);
    return warn(check, asTrmigError(thrown).message, `Only ${arch} machines need it: scripts/setup.sh installs it.`);
  }
}

export async function checkTracer(): Promise<Finding> {
  try {
    return ok('tracer', `the tracer is built (${await findTracer()})`);
  } catch (thrown) {
    return failed('tracer', thrown);
  }
}

/** Starts a machine of each architecture; `tracer-loads` and `memory-access` are what they show. */
export async function* checkTogether(context: CheckContext, arches: readonly Architecture[]): AsyncGenerator<Finding> {
  for (const arch of arches) yield* checkMachine(context, arch);
}

async function* checkMachine({ signal }: CheckContext, arch: Architecture): AsyncGenerator<Finding> {
  const check = arch === 'x86_64' ? 'tracer-loads' : `tracer-loads-${arch}`;
  const root = await mkdtemp(path.join(os.tmpdir(), 'trmig-doctor-'));
  let machine: Machine | null = null;
  try {
    // It never runs: any file will do for the kernel that some boards want.
    await writeFile(path.join(root, 'kernel'), Buffer.alloc(imagePageBytes));
    const text = `{name: doctor, arch: ${arch}, memory: 64M, kernel: kernel, console: none}`;
    const spec = parseSpec(text, { base: root, source: 'the trial machine' });
    const home = new Home(root);
    try {
      machine = await Machine.start(spec, { home, paused: true, timeoutMs: startMsMax, ...(signal && { signal }) });
    } catch (thrown) {
      if (asTrmigError(thrown).code === 'E_ABORTED') throw thrown;
      yield failed(check, thrown);
      return;
    }
    const { tracer, qemu, pid, blocks } = await machine.tracer.hello();
    yield ok(check, `tracer ${tracer} loads into QEMU ${qemu} for ${arch} and answers`);
    if (arch === 'x86_64') yield await checkMemoryAccess(pid, blocks[0]!.address);
  } finally {
    await machine?.stop({ graceful: false }).catch(() => undefined);
    await rm(root, { recursive: true, force: true });
  }
}

/** Images are read from, and written to, QEMU's memory from outside. */
async function checkMemoryAccess(pid: number, address: number): Promise<Finding> {
  try {
    await readPages(pid, address, imagePageBytes, imagePageBytes, "QEMU's memory");
    return ok('memory-access', "another process's memory can be read");
  } catch (thrown) {
    const hint = 'Run as root, or: sysctl kernel.yama.ptrace_scope=0';
    return fail('memory-access', asTrmigError(thrown).message, hint);
  }
}

/** What earlier commands, or a crash of the host, have left. */
export async function checkLeftovers({ home }: CheckContext): Promise<Finding> {
  try {
    const dead = (await Machine.list({ home })).filter(({ state }) => state === 'dead').map(({ name }) => name);
    if (dead.length === 0) return ok('leftovers', 'no dead machines');
    const text = `${dead.length === 1 ? 'a dead machine' : `${dead.length} dead machines`}: ${dead.join(', ')}`;
    return warn('leftovers', text, `Start it again, or forget it: trmig rm ${dead[0]!}`);
  } catch (thrown) {
    return failed('leftovers', thrown);
  }
}

function failed(check: string, thrown: unknown): Finding {
  const { message, hint } = asTrmigError(thrown);
  return fail(check, message, hint);
}
