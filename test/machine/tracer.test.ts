import { once } from 'node:events';
import t from 'tap';
import type { Test } from 'tap';
import { TracerClient } from '../../src/machine/tracer.js';
import { icount } from '../../src/units.js';
import { codeOf, fakePeer, type FakePeer, type Request } from './fake-peer.js';

const block = { name: 'pc.ram', address: 0x7f0000000000, bytes: 4096, pageBytes: 4096 };
const armPauses = { stopNs: 1, quiesceNs: 2, flipNs: 3, totalNs: 6 };
const reachedFinal = { virtualNs: 1, final: true, why: 'final', registers: 'ab', devices: 'cd', digestNs: 3 };
const replies: Record<string, object> = {
  hello: {
    tracer: '1',
    qemu: '10.0.2',
    target: 'x86_64',
    pid: 7,
    mode: 'dormant',
    running: true,
    icount: 0,
    blocks: [block],
  },
  probe: { instructions: 5, busyNs: 6, ns: 7 },
  arm: { shift: 1, virtualNs: 9, pauses: armPauses, deviceState: 'AAEC', frozen: { pid: 8, blocks: [block] } },
  disarm: { icount: 10, pauses: armPauses },
  finish: {
    hostNs: 10,
    icount: 11,
    virtualNs: 1,
    registers: 'ab',
    devices: 'cd',
    pauses: { stopNs: 1, quiesceNs: 1, flushNs: 1, digestNs: 1, totalNs: 4 },
  },
  stop: { ns: 12 },
  restore: { ns: 13 },
  digest: { icount: 14, registers: 'ab', devices: 'cd', ram: 'ef' },
  freeze: { pid: 15, blocks: [block], ns: 16 },
  live: { hostNs: 16, virtualNs: 17, pauses: { freezeNs: 0, flipNs: 1, startNs: 2, totalNs: 3 } },
};

async function connected(
  t: Test,
  overrides: Record<string, unknown> = {},
): Promise<{ peer: FakePeer; tracer: TracerClient }> {
  const peer = await fakePeer(t, ({ execute, id }) => ({ return: overrides[execute] ?? replies[execute] ?? {}, id }));
  const tracer = await TracerClient.connect(peer.path);
  t.teardown(() => tracer.close());
  return { peer, tracer };
}

t.test('every command goes out as the protocol has it', async (t) => {
  const { peer, tracer } = await connected(t);
  await tracer.hello();
  await tracer.probe(100);
  const armed = await tracer.arm({ shift: 1, stream: 'log', segmentMs: 10, segmentBytes: 4096, checkpoint: true });
  t.same(armed.deviceState, Buffer.from([0, 1, 2]));
  t.same(armed.frozen, { pid: 8, blocks: [block] });
  t.equal(armed.pauses.freezeNs, 0, 'a pause that was not there is 0');
  await tracer.segment({ ms: 5, bytes: 6 });
  await tracer.pace(0.5);
  await tracer.disarm();
  await tracer.finish(1000);
  await tracer.renew(1000);
  await tracer.resume();
  await tracer.relinquish();
  t.equal(await tracer.stop(500), 12);
  await tracer.cont();
  t.equal(await tracer.restore({ shift: 1, deviceState: Buffer.from([0, 1, 2]) }), 13);
  await tracer.play({ stream: 'log', until: icount(5) });
  await tracer.continue({});
  t.equal((await tracer.digest({ ram: true })).ram, 'ef');
  t.equal((await tracer.freeze()).pid, 15);
  await tracer.thaw(15);
  t.equal((await tracer.live()).virtualNs, 17);
  await tracer.live({ freeze: true });
  const sent = peer.requests.map(({ execute, arguments: args }) => (args === undefined ? [execute] : [execute, args]));
  t.same(sent, [
    ['hello'],
    ['probe', { ms: 100 }],
    ['arm', { shift: 1, stream: 'log', segmentMs: 10, segmentBytes: 4096, checkpoint: true }],
    ['segment', { ms: 5, bytes: 6 }],
    ['pace', { fraction: 0.5 }],
    ['disarm'],
    ['finish', { leaseMs: 1000 }],
    ['renew', { leaseMs: 1000 }],
    ['resume'],
    ['relinquish'],
    ['stop', { leaseMs: 500 }],
    ['cont'],
    ['restore', { shift: 1, deviceState: 'AAEC' }],
    ['play', { stream: 'log', until: 5 }],
    ['continue', {}],
    ['digest', { ram: true }],
    ['freeze'],
    ['thaw', { pid: 15 }],
    ['live', { freeze: false }],
    ['live', { freeze: true }],
  ]);
});

t.test('each refusal has its code and the tracer’s words', async (t) => {
  const classes: [string, string][] = [
    ['BadRequest', 'E_TRACER_BAD_REQUEST'],
    ['UnknownCommand', 'E_TRACER_UNKNOWN_COMMAND'],
    ['WrongMode', 'E_TRACER_WRONG_MODE'],
    ['NotStopped', 'E_TRACER_NOT_STOPPED'],
    ['NoStream', 'E_TRACER_NO_STREAM'],
    ['Failed', 'E_TRACER_FAILED'],
    ['SomethingNewer', 'E_TRACER_FAILED'],
    ['constructor', 'E_TRACER_FAILED'],
  ];
  for (const [errorClass, code] of classes) {
    const peer = await fakePeer(t, ({ id }) => ({ error: { class: errorClass, desc: 'because' }, id }));
    const tracer = await TracerClient.connect(peer.path);
    await t.rejects(tracer.disarm(), { code, message: /'disarm': because/, facts: { desc: 'because' } });
    await t.rejects(tracer.openStream('log'), { code, message: /'stream': because/ });
    tracer.close();
  }
});

t.test('a reply that does not fit ends the connection', async (t) => {
  const { tracer } = await connected(t, { arm: { ...replies['arm'], deviceState: 'not base64!' } });
  const args = { shift: 1, stream: 'log', segmentMs: 10, segmentBytes: 4096 };
  await t.rejects(tracer.arm({ ...args, checkpoint: true }), { code: 'E_TRACER_PROTOCOL', message: /deviceState/ });
  t.equal(await codeOf(tracer.hello()), 'E_TRACER_PROTOCOL');
  const { tracer: other } = await connected(t, { arm: { shift: 1, virtualNs: 0, pauses: armPauses } });
  t.equal((await other.arm({ ...args, checkpoint: false })).shift, 1);
  t.equal(await codeOf(other.arm({ ...args, checkpoint: true })), 'E_TRACER_PROTOCOL', 'a checkpoint was asked for');
  for (const bytes of [-1, 1.5, 2 ** 53, '4096', null]) {
    const { tracer: odd } = await connected(t, { hello: { ...replies['hello'], blocks: [{ ...block, bytes }] } });
    t.equal(await codeOf(odd.hello()), 'E_TRACER_PROTOCOL', `bytes: ${String(bytes)}`);
  }
});

t.test('the device state may be large', async (t) => {
  const state = Buffer.alloc(8 * 1024 * 1024, 0xa5);
  const { peer, tracer } = await connected(t, { arm: { ...replies['arm'], deviceState: state.toString('base64') } });
  const armed = await tracer.arm({ shift: 1, stream: 'log', segmentMs: 10, segmentBytes: 4096, checkpoint: true });
  t.ok(armed.deviceState.equals(state));
  await tracer.restore({ shift: 1, deviceState: new Uint8Array(armed.deviceState) });
  const sent = peer.requests.at(-1)?.arguments as { deviceState: string };
  t.ok(Buffer.from(sent.deviceState, 'base64').equals(state));
});

t.test('a stream is handed over with every byte', async (t) => {
  const answer = ({ execute, id }: Request): Buffer | object =>
    execute === 'stream'
      ? Buffer.concat([Buffer.from(`{"return": {}, "id": ${id}}\nfirst\n`), Buffer.from([0, 255])])
      : { return: {}, id };
  const peer = await fakePeer(t, answer);
  const tracer = await TracerClient.connect(peer.path);
  t.teardown(() => tracer.close());
  const byData = await tracer.openStream('log');
  t.same(peer.requests[0], { execute: 'stream', arguments: { name: 'log' }, id: 1 });
  const [chunk] = (await once(byData, 'data')) as [Buffer];
  t.same(chunk, Buffer.concat([Buffer.from('first\n'), Buffer.from([0, 255])]));
  byData.destroy();

  const byIteration = await tracer.openStream('log');
  peer.sockets.at(-1)!.end('more');
  const parts: Buffer[] = [];
  for await (const part of byIteration) parts.push(part as Buffer);
  t.equal(Buffer.concat(parts).toString('latin1'), 'first\n\u0000\u00ffmore');

  const unattended = await tracer.openStream('log');
  unattended.destroy(new Error('must not end the process'));
});

t.test('a stream that is not opened leaves nothing behind', async (t) => {
  const silent = await fakePeer(t, () => undefined);
  const tracer = await TracerClient.connect(silent.path);
  t.teardown(() => tracer.close());
  t.equal(await codeOf(tracer.openStream('log', { timeoutMs: 30 })), 'E_TRACER_TIMEOUT');
  t.equal(await codeOf(tracer.openStream('log', { signal: AbortSignal.timeout(30) })), 'E_ABORTED');
  const babbling = await fakePeer(t, () => 'no json\n');
  const other = await TracerClient.connect(babbling.path);
  t.equal(await codeOf(other.openStream('log')), 'E_TRACER_PROTOCOL');
  other.close();
});

t.test('events come typed, to listeners and to loops', async (t) => {
  const { peer, tracer } = await connected(t);
  const reached: number[] = [];
  tracer.events.on('reached', ({ icount: at, final }) => reached.push(at, Number(final)));
  const stream = tracer.events.stream();
  const next = tracer.events.next(['diverged', 'reached']);
  await tracer.hello();
  peer.say({ event: 'lease', data: {} });
  for (let seq = 0; seq < 50; seq++)
    peer.say({ event: 'played', data: { seq, icount: seq, virtualNs: 1, hostNs: 1, waitNs: 0 } });
  peer.say({ event: 'of a newer tracer', data: 5 });
  peer.say({ event: 'reached', data: { ...reachedFinal, icount: 100 } });
  t.equal((await next).event, 'reached');
  t.same(reached, [100, 1]);
  const seen: string[] = [];
  for await (const event of stream) {
    seen.push(event.event === 'played' ? `played ${event.data.seq}` : event.event);
    if (event.event === 'reached') break;
  }
  t.same(seen, ['lease', 'played 49', 'reached'], 'only the newest played waits');
});

t.test('waiting for an event ends with the connection, by the signal, or by a bad event', async (t) => {
  const { peer, tracer } = await connected(t);
  t.equal(await codeOf(tracer.events.next(['lost'], { signal: AbortSignal.timeout(20) })), 'E_ABORTED');
  t.equal(await codeOf(tracer.events.next(['lost'], { signal: AbortSignal.abort() })), 'E_ABORTED');
  const waiting = tracer.events.next(['lost']);
  await tracer.hello();
  peer.say({ event: 'lost', data: { reason: 5 } });
  t.equal(await codeOf(waiting), 'E_TRACER_PROTOCOL');
  t.equal(await codeOf(tracer.events.next(['lost'])), 'E_TRACER_PROTOCOL');
});

t.test('a consumer that never reads is cut off, not fed for ever', async (t) => {
  const { peer, tracer } = await connected(t);
  const stream = tracer.events.stream();
  await tracer.hello();
  for (let i = 0; i < 1100; i++) peer.say({ event: 'lease', data: {} });
  await tracer.hello();
  let given = 0;
  const drain = async (): Promise<void> => {
    for await (const _ of stream) given++;
  };
  await t.rejects(drain(), { code: 'E_INTERNAL', message: /1024/ });
  t.equal(given, 1024);
});
