// A connection may begin with one line (QMP's greeting, the tracer's answer to `stream`) and go on as something else. The
// bytes behind that line belong to the next reader: they are put back into the socket, none is lost, and the socket is
// left neither flowing nor paused, so that `data`, `readable`, iteration and pipes all work on it.
import type net from 'node:net';
import { controlLineBytesMax } from '../limits.js';
import { LineReader } from './lines.js';

/** No line came in time. */
export class FirstLineTimeout extends Error {}

/**
 * Reads one line and puts the bytes after it back, so that the next reader of the socket sees all of them.
 * Rejects with FirstLineTimeout, LineTooLong, the socket's error, or the signal's reason.
 */
export function firstLine(
  socket: net.Socket,
  options: { signal?: AbortSignal | undefined; timeoutMs: number },
): Promise<Buffer> {
  const { signal, timeoutMs } = options;
  const lines = new LineReader(controlLineBytesMax);
  return new Promise((resolve, reject) => {
    const done = (settle: () => void): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      socket.removeListener('readable', onReadable);
      socket.removeListener('error', onError);
      socket.removeListener('close', onClose);
      settle();
    };
    const onReadable = (): void => {
      for (let chunk = read(socket); chunk !== null; chunk = read(socket)) {
        const end = chunk.indexOf(0x0a);
        let line: Buffer | undefined;
        try {
          line = lines.push(end < 0 ? chunk : chunk.subarray(0, end + 1))[0];
        } catch (error) {
          done(() => reject(error instanceof Error ? error : new Error(String(error))));
          return;
        }
        if (end < 0) continue;
        const rest = chunk.subarray(end + 1);
        if (line === undefined) {
          if (rest.length > 0) socket.unshift(rest);
          continue;
        }
        const found = line;
        done(() => {
          if (rest.length > 0) socket.unshift(rest);
          resolve(found);
        });
        return;
      }
    };
    const onError = (error: Error): void => done(() => reject(error));
    const onClose = (): void => done(() => reject(new Error('the connection was closed')));
    const onAbort = (): void => done(() => reject(signal!.reason as Error));
    const timer = setTimeout(() => done(() => reject(new FirstLineTimeout())), timeoutMs);
    if (signal?.aborted) {
      onAbort();
      return;
    }
    signal?.addEventListener('abort', onAbort, { once: true });
    socket.on('readable', onReadable);
    socket.on('error', onError);
    socket.on('close', onClose);
  });
}

function read(socket: net.Socket): Buffer | null {
  return socket.read() as Buffer | null;
}
