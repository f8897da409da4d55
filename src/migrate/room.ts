// Whether this host has room for a guest: asked before the source touches it, because a host that runs out of memory later
// takes other machines with it.
import { readFile } from 'node:fs/promises';
import { TrmigError } from '../errors.js';

/** @throws TrmigError E_NO_ROOM when this host has less memory to give than the guest has */
export async function checkRoom(bytes: number, toGive: () => Promise<number> = memoryAvailable): Promise<void> {
  const availableBytes = await toGive();
  if (bytes <= availableBytes) return;
  throw new TrmigError('E_NO_ROOM', `the guest has ${bytes} bytes of memory, this host ${availableBytes} to give`, {
    facts: { bytes, availableBytes },
  });
}

/** What the kernel thinks can be used without swapping; Infinity when it does not say. */
async function memoryAvailable(): Promise<number> {
  const available = /^MemAvailable:\s+(\d+) kB$/m.exec(await readFile('/proc/meminfo', 'utf8'));
  return available === null ? Infinity : Number(available[1]) * 1024;
}
