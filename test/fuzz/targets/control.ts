// What QEMU's monitor and the tracer say on their sockets: lines into messages, replies and events into their schemas, on a
// connection that waits for two replies.
import { Duplex } from 'node:stream';
import type net from 'node:net';
import { ControlChannel, type ControlDialect } from '../../../src/machine/control.js';
import { parseGreeting } from '../../../src/machine/qmp.js';
import { TracerEvents } from '../../../src/machine/tracer-events.js';
import * as replies from '../../../src/machine/tracer-replies.js';
import { attemptLater, isRefusal, must, type Target } from '../target.js';

const dialect: ControlDialect = {
  peer: 'the tracer',
  closed: 'E_TRACER_CLOSED',
  timeout: 'E_TRACER_TIMEOUT',
  protocol: 'E_TRACER_PROTOCOL',
  refused: () => 'E_TRACER_FAILED',
};

const hello =
  '{"return":{"tracer":"1","qemu":"10.0.2","target":"x86_64","pid":7,"mode":"dormant","running":true,"icount":0,' +
  '"blocks":[{"name":"pc.ram","address":140000000000000,"bytes":4096,"pageBytes":4096}]},"id":1}';
const lines = [
  hello,
  '{"event":"lease","data":{}}',
  '{"event":"played","data":{"seq":1,"icount":2,"virtualNs":3,"hostNs":4,"waitNs":5}}',
  '{"event":"diverged","data":{"seq":1,"icount":2,"expected":"00000000000000aa","actual":"00000000000000ab"}}',
  '{"event":"stopped","data":{"state":"paused"}}',
  '{"event":"ended","data":{"cause":"guest-shutdown"}}',
  '{"error":{"class":"Failed","desc":"no"},"id":2}',
  '{"QMP":{"version":{"qemu":{"micro":2,"minor":0,"major":10},"package":"Debian"},"capabilities":[]}}',
];

/** A connected socket whose peer says what it is given. */
class Peer extends Duplex {
  override _read(): void {
    // The bytes come when they are pushed.
  }
  override _write(_chunk: unknown, _encoding: string, done: () => void): void {
    done();
  }
}

export const target: Target = {
  seeds: () => [...lines, lines.slice(0, 5).join('\r\n')].map((line) => Buffer.from(`${line}\n`)),
  run: async (bytes) => {
    try {
      parseGreeting(bytes);
    } catch (thrown) {
      // Its callers give it a code; but it must be an error of its own, or the JSON parser's.
      must(thrown instanceof SyntaxError || (thrown instanceof Error && thrown.constructor === Error), String(thrown));
    }
    const peer = new Peer({ allowHalfOpen: false });
    const channel = new ControlChannel(peer as unknown as net.Socket, dialect);
    const events = new TracerEvents(channel);
    events.onAny(() => undefined);
    const asked = [channel.request('hello', undefined), channel.request('digest', {})];
    peer.push(bytes);
    peer.push(null);
    await new Promise((ended) => peer.once('close', ended));
    const answers = await Promise.all(asked.map((one) => attemptLater(() => one)));
    for (const answer of answers) {
      for (const schema of [replies.helloSchema, replies.statusSchema, replies.armSchema, replies.digestSchema]) {
        schema.safeParse(answer);
      }
    }
    must(channel.closedBy !== null && isRefusal(channel.closedBy), 'the connection did not end with an error of ours');
  },
};
