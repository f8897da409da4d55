// Whether QEMU and the tracer work together here. The only proof is to try: a machine without a disk or a kernel is started
// stopped, in a state directory of its own, asked a few things, and ended.
// Invariant: whatever happens, that QEMU and its directory are gone afterwards.
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { asTrmigError } from '../errors.js';
import { imagePageBytes } from '../limits.js';
import { Home, Machine, findQemu, findTracer, parseSpec } from '../machine/index.js';
import { readPages } from '../native/index.js';
import { fail, ok, warn, type CheckContext, type Finding } from './finding.js';

const startMsMax = 20_000;

export async function checkQemu({ signal }: CheckContext): Promise<Finding> {
  try {
    const { binary, version } = await findQemu({ qemu: { version: '10.0' }, arch: 'x86_64' }, { signal });
    return ok('qemu', `QEMU ${version} (${binary})`);
  } catch (thrown) {
    return failed('qemu', thrown);
  }
}

export async function checkTracer(): Promise<Finding> {
  try {
    return ok('tracer', `the tracer is built (${await findTracer()})`);
  } catch (thrown) {
    return failed('tracer', thrown);
  }
}

/** Starts a machine; `tracer-loads` and `memory-access` are what it shows. */
export async function* checkTogether({ signal }: CheckContext): AsyncGenerator<Finding> {
  const root = await mkdtemp(path.join(os.tmpdir(), 'trmig-doctor-'));
  let machine: Machine | null = null;
  try {
    const spec = parseSpec('{name: doctor, memory: 64M, console: none}', { base: root, source: 'the trial machine' });
    const home = new Home(root);
    try {
      machine = await Machine.start(spec, { home, paused: true, timeoutMs: startMsMax, ...(signal && { signal }) });
    } catch (thrown) {
      if (asTrmigError(thrown).code === 'E_ABORTED') throw thrown;
      yield failed('tracer-loads', thrown);
      return;
    }
    const { tracer, qemu, pid, blocks } = await machine.tracer.hello();
    yield ok('tracer-loads', `tracer ${tracer} loads into QEMU ${qemu} and answers`);
    yield await checkMemoryAccess(pid, blocks[0]!.address);
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
