// A peer on a Unix socket that says what a test tells it to: for the protocol clients, whose other end is not under test.
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import type { Test } from 'tap';
import { TrmigError } from '../../src/errors.js';

export interface Request {
  readonly execute: string;
  readonly arguments?: unknown;
  readonly id: number;
}

/** Answers one request: an object is sent as a line, a string or bytes as they are, undefined is silence. */
export type Answer = (request: Request, socket: net.Socket) => object | string | Buffer | undefined;

export interface FakePeer {
  readonly path: string;
  readonly requests: Request[];
  readonly sockets: net.Socket[];
  /** Sends a line to every client. */
  say(message: object): void;
}

/** A folder that is removed at the test's end. Short, since sockets live in it. */
export function temporaryFolder(t: Test): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'trmig-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export async function fakePeer(t: Test, answer: Answer, greeting?: object | string): Promise<FakePeer> {
  const socketPath = path.join(temporaryFolder(t), 'peer.sock');
  const peer: FakePeer = {
    path: socketPath,
    requests: [],
    sockets: [],
    say: (message) => peer.sockets.forEach((socket) => socket.write(line(message))),
  };
  const server = net.createServer((socket) => {
    peer.sockets.push(socket);
    socket.on('error', () => undefined);
    if (greeting !== undefined) socket.write(line(greeting));
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('utf8');
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
        const request = JSON.parse(text.slice(0, end)) as Request;
        text = text.slice(end + 1);
        peer.requests.push(request);
        const answered = answer(request, socket);
        if (answered !== undefined) socket.write(line(answered));
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  t.teardown(() => {
    peer.sockets.forEach((socket) => socket.destroy());
    server.close();
  });
  return peer;
}

function line(message: object | string | Buffer): string | Buffer {
  return typeof message === 'string' || Buffer.isBuffer(message) ? message : `${JSON.stringify(message)}\n`;
}

/** The code a promise rejects with; 'none' when it does not. */
export async function codeOf(asked: Promise<unknown>): Promise<string> {
  try {
    await asked;
    return 'none';
  } catch (error) {
    return error instanceof TrmigError ? error.code : `not a TrmigError: ${String(error)}`;
  }
}

/** The error a call throws. */
export function thrownBy(call: () => unknown): TrmigError {
  try {
    call();
  } catch (error) {
    if (error instanceof TrmigError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}
