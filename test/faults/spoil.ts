// Does a fault to a side that is held, and undoes it: what was suspended goes on, what was full is emptied.
import { rmSync, writeFileSync } from 'node:fs';
import { readFile, open } from 'node:fs/promises';
import path from 'node:path';
import { stopLeaseMs, wireIdleMs } from '../../src/limits.js';
import { TracerClient, type Home } from '../../src/machine/index.js';
import { sleep } from '../system/stage.js';
import type { Holdable, Hosts } from './hosts.js';
import type { Fault, Side } from './plan.js';
import type { Proxy } from './proxy.js';

export interface Spoiled {
  readonly hosts: Hosts;
  readonly side: Side;
  readonly home: Home;
  readonly own: Holdable;
  readonly proxy: Proxy;
}

/** Longer than any lease, and than a connection on which nothing is heard. */
const suspendedMs = Math.max(stopLeaseMs, wireIdleMs) + 3_000;
const standstillMs = 4_000;

/** Does it and lets the held side go on; resolves when the fault is over, as far as it ends by itself. */
export async function spoil(fault: Fault, { hosts, side, home, own, proxy }: Spoiled): Promise<void> {
  const qemu = hosts.qemuOf(home);
  switch (fault) {
    case 'kill':
      return own.kill();
    case 'suspend':
      own.process.kill('SIGSTOP');
      await sleep(suspendedMs);
      own.tell('go');
      own.process.kill('SIGCONT');
      return;
    case 'kill-qemu':
      if (qemu !== null) process.kill(qemu, 'SIGKILL');
      own.tell('go');
      return;
    case 'suspend-qemu':
      if (qemu !== null) signalIfThere(qemu, 'SIGSTOP');
      own.tell('go');
      await sleep(standstillMs);
      if (qemu !== null) signalIfThere(qemu, 'SIGCONT');
      return;
    case 'cut':
      proxy.cut();
      own.tell('go');
      return;
    case 'stall':
      proxy.stall();
      own.tell('go');
      await sleep(suspendedMs);
      proxy.release();
      return;
    case 'flip':
      proxy.flipTo(side);
      own.tell('go');
      return;
    case 'disk-full': {
      const file = path.join(home.root, 'filler');
      fill(file);
      own.tell('go');
      await sleep(standstillMs);
      rmSync(file, { force: true });
      return;
    }
    case 'cancel':
    case 'cancel-twice':
      own.tell(fault);
      return;
    case 'diverge':
      if (qemu !== null) await scribble(home, qemu);
      own.tell('go');
      return;
  }
}

/** false: it has ended, as one does that is not needed any more. */
export function signalIfThere(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** Takes all that is left of a file system. */
export function fill(file: string): void {
  for (let bytes = 1 << 24; bytes >= 1; bytes >>= 1) {
    try {
      for (;;) writeFileSync(file, Buffer.alloc(bytes, 1), { flag: 'a' });
    } catch {
      // Smaller pieces may still fit.
    }
  }
}

/** Changes every page of a replaying guest's memory a little: it computes something else from here on. */
export async function scribble(home: Home, pid: number): Promise<void> {
  const tracer = await TracerClient.connect(home.machine('m').tracerSocket);
  const { blocks } = await tracer.hello().finally(() => tracer.close());
  const ram = blocks.reduce((largest, block) => (block.bytes > largest.bytes ? block : largest));
  const memory = await open(`/proc/${pid}/mem`, 'r+');
  try {
    const byte = Buffer.alloc(64, 0xff);
    for (let at = ram.address + 64; at < ram.address + ram.bytes; at += 4096) {
      await memory.write(byte, 0, byte.length, at);
    }
  } finally {
    await memory.close();
  }
  await readFile(`/proc/${pid}/stat`); // It lives.
}
