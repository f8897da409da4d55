// Looks at this host: can machines be run, recorded and moved here, and what has been left lying about?
// Invariant: it changes nothing; the machine that it tries things on lives in a directory of its own and is gone afterwards.
import { checkAddon, checkDisk, checkGuests, checkMemory, checkNode, checkUserfaultfd } from './host-checks.js';
import { checkLeftovers, checkQemu, checkTogether, checkTracer } from './qemu-checks.js';
import { checkKeys } from './key-checks.js';
import { ARCHITECTURES, type Architecture } from '../machine/index.js';
import type { CheckContext, Finding } from './finding.js';

export type { CheckContext, Finding, FindingLevel } from './finding.js';

/** Every check's finding, as soon as it is there. @throws TrmigError E_ABORTED */
export async function* diagnose(context: CheckContext): AsyncGenerator<Finding> {
  yield checkNode();
  const addon = checkAddon();
  yield addon;
  const runnable: Architecture[] = [];
  for (const arch of ARCHITECTURES) {
    const qemu = await checkQemu(context, arch);
    yield qemu;
    if (qemu.level === 'ok') runnable.push(arch);
  }
  const tracer = await checkTracer();
  yield tracer;
  // Without either there is nothing to try.
  if (tracer.level === 'ok') yield* checkTogether(context, runnable);
  yield await checkUserfaultfd();
  yield await checkMemory();
  yield await checkDisk(context);
  yield await checkKeys(context);
  yield await checkGuests();
  yield await checkLeftovers(context);
}
