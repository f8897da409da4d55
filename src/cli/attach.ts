// Connects the terminal to a machine's serial console, until the detach key. The guest notices nothing of either.
// Invariant: the terminal is given back as it was, however it ends.
import net from 'node:net';
import { TrmigError } from '../errors.js';

/** Ctrl-] , as telnet and virsh have it. */
const detachKey = 0x1d;

export interface AttachOptions {
  readonly input: NodeJS.ReadStream;
  readonly output: NodeJS.WriteStream;
  readonly signal: AbortSignal;
}

/**
 * Returns how it ended.
 * @throws TrmigError E_MACHINE_DEAD when nothing listens on the socket
 */
export async function attachConsole(path: string, options: AttachOptions): Promise<'detached' | 'closed'> {
  const { input, output, signal } = options;
  const socket = net.connect(path);
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', (cause: NodeJS.ErrnoException) => {
      const what = `the console does not answer at ${path}: ${cause.code ?? cause.message}`;
      reject(new TrmigError('E_MACHINE_DEAD', what, { cause, facts: { path } }));
    });
  });
  const wasRaw = input.isRaw;
  if (input.isTTY) input.setRawMode(true);
  try {
    return await new Promise((resolve) => {
      socket.on('data', (bytes: Buffer) => output.write(bytes));
      socket.on('error', () => undefined);
      socket.once('close', () => resolve('closed'));
      input.on('data', (bytes: Buffer) => {
        const at = bytes.indexOf(detachKey);
        socket.write(at < 0 ? bytes : bytes.subarray(0, at));
        if (at >= 0) resolve('detached');
      });
      // What was piped in has been typed; the guest's answers are still of interest.
      signal.addEventListener('abort', () => resolve('detached'), { once: true });
      if (signal.aborted) resolve('detached');
    });
  } finally {
    if (input.isTTY) input.setRawMode(wasRaw);
    input.pause();
    input.removeAllListeners('data');
    socket.destroy();
  }
}
