import t from 'tap';
import { z } from 'zod';
import { QmpClient, parseGreeting } from '../../src/machine/qmp.js';
import { codeOf, fakePeer, temporaryFolder } from './fake-peer.js';

const greeting = {
  QMP: { version: { qemu: { micro: 2, minor: 0, major: 10 }, package: 'Debian' }, capabilities: ['oob'] },
};

t.test('the handshake yields the version, and commands their replies', async (t) => {
  const peer = await fakePeer(
    t,
    ({ execute, id }) => ({ return: execute === 'query-status' ? { running: true, status: 'running' } : {}, id }),
    greeting,
  );
  const qmp = await QmpClient.connect(peer.path);
  t.teardown(() => qmp.close());
  t.same(qmp.version, { major: 10, minor: 0, micro: 2, package: 'Debian' });
  t.same(await qmp.status(), { running: true, status: 'running' });
  t.same(
    peer.requests.map((request) => request.execute),
    ['qmp_capabilities', 'query-status'],
  );
});

t.test('pipelined requests get their own replies, in whatever order', async (t) => {
  const held: object[] = [];
  const peer = await fakePeer(
    t,
    ({ execute, id }) => {
      if (execute === 'qmp_capabilities') return { return: {}, id };
      held.unshift({ return: execute, id });
      if (held.length < 3) return undefined;
      return held.map((reply) => JSON.stringify(reply)).join('\r\n') + '\r\n';
    },
    greeting,
  );
  const qmp = await QmpClient.connect(peer.path);
  t.teardown(() => qmp.close());
  t.same(await Promise.all(['a', 'b', 'c'].map((name) => qmp.execute(name))), ['a', 'b', 'c']);
});

t.test('a refusal carries QEMU’s class and words', async (t) => {
  const peer = await fakePeer(
    t,
    ({ execute, id }) =>
      execute === 'qmp_capabilities'
        ? { return: {}, id }
        : { error: { class: 'GenericError', desc: 'Node not found' }, id },
    greeting,
  );
  const qmp = await QmpClient.connect(peer.path);
  t.teardown(() => qmp.close());
  await t.rejects(qmp.execute('block_resize', { device: 'x' }), {
    code: 'E_QMP_COMMAND',
    message: /'block_resize': Node not found/,
    facts: { command: 'block_resize', class: 'GenericError', desc: 'Node not found' },
  });
  t.equal(await codeOf(qmp.execute('again')), 'E_QMP_COMMAND', 'the connection goes on');
});

t.test('events reach their listeners until they stop', async (t) => {
  const peer = await fakePeer(t, ({ id }) => ({ return: {}, id }), greeting);
  const qmp = await QmpClient.connect(peer.path);
  t.teardown(() => qmp.close());
  const seen: unknown[] = [];
  const stop = qmp.onEvent((event) => seen.push(event));
  peer.say({ event: 'STOP', data: { a: 1 }, timestamp: { seconds: 1, microseconds: 2 } });
  await qmp.execute('x');
  stop();
  peer.say({ event: 'RESUME' });
  await qmp.execute('x');
  t.same(seen, [{ event: 'STOP', data: { a: 1 } }]);
});

t.test('a monitor that another client holds is named as such', async (t) => {
  const peer = await fakePeer(t, () => undefined);
  await t.rejects(QmpClient.connect(peer.path, { timeoutMs: 50 }), {
    code: 'E_QMP_CONNECT',
    message: /another client holds the monitor/,
  });
});

t.test('what is not there or is not QMP is refused', async (t) => {
  t.equal(await codeOf(QmpClient.connect(`${temporaryFolder(t)}/none.sock`)), 'E_QMP_CONNECT');
  const ssh = await fakePeer(t, () => undefined, 'SSH-2.0-OpenSSH\r\n');
  t.equal(await codeOf(QmpClient.connect(ssh.path)), 'E_QMP_PROTOCOL');
  const other = await fakePeer(t, () => undefined, { hello: 1 });
  t.equal(await codeOf(QmpClient.connect(other.path)), 'E_QMP_PROTOCOL');
  t.throws(() =>
    parseGreeting(Buffer.from('{"QMP":{"version":{"qemu":{"major":-1,"minor":0,"micro":0},"package":""}}}')),
  );
});

t.test('waiting ends by the signal, by the timeout, and by the connection’s end', async (t) => {
  const peer = await fakePeer(
    t,
    ({ execute, id }) => (execute === 'qmp_capabilities' || execute === 'x' ? { return: {}, id } : undefined),
    greeting,
  );
  const qmp = await QmpClient.connect(peer.path);
  const abort = new AbortController();
  const aborted = qmp.execute('slow', undefined, { signal: abort.signal });
  abort.abort();
  t.equal(await codeOf(aborted), 'E_ABORTED');
  t.equal(await codeOf(qmp.execute('x', undefined, { signal: abort.signal })), 'E_ABORTED', 'not even sent');
  t.equal(await codeOf(qmp.execute('slow', undefined, { timeoutMs: 20 })), 'E_QMP_TIMEOUT');
  for (const late of peer.requests.filter(({ execute }) => execute === 'slow')) peer.say({ return: {}, id: late.id });
  t.same(await qmp.execute('x'), {}, 'late replies are dropped');
  const cut = qmp.execute('slow');
  peer.sockets[0]!.destroy();
  t.equal(await codeOf(cut), 'E_QMP_CLOSED');
  t.equal(await codeOf(qmp.execute('x')), 'E_QMP_CLOSED');
  t.equal(qmp.closedBy?.code, 'E_QMP_CLOSED');
  qmp.onClose((reason) => t.equal(reason.code, 'E_QMP_CLOSED', 'told even afterwards'));
});

t.test('a broken line ends the connection, and what waits with it', async (t) => {
  for (const bad of [
    '{"return":',
    'nonsense',
    '[]',
    '{"return":{},"id":99}',
    '{"id":2}',
    '{"error":{"class":"x","desc":"y"}}',
  ]) {
    const peer = await fakePeer(
      t,
      ({ execute, id }) => (execute === 'qmp_capabilities' ? { return: {}, id } : `${bad}\n`),
      greeting,
    );
    const qmp = await QmpClient.connect(peer.path);
    t.equal(await codeOf(qmp.execute('x')), 'E_QMP_PROTOCOL', bad);
    t.equal(qmp.closedBy?.code, 'E_QMP_PROTOCOL');
  }
});

t.test('a reply that does not fit its schema is a breach', async (t) => {
  const peer = await fakePeer(t, ({ id }) => ({ return: { running: 'yes' }, id }), greeting);
  const qmp = await QmpClient.connect(peer.path);
  t.equal(await codeOf(qmp.status()), 'E_QMP_PROTOCOL');
  t.equal(await codeOf(qmp.query('x', z.object({}))), 'E_QMP_PROTOCOL');
});
