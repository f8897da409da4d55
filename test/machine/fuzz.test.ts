// Bytes that no QEMU and no tracer would send: each must end in a typed error or a validated value, and never in a hang,
// an uncaught exception or a half-read reply.
import t from 'tap';
import { TrmigError } from '../../src/errors.js';
import { parseMessage } from '../../src/machine/control.js';
import { QmpClient, parseGreeting } from '../../src/machine/qmp.js';
import * as replies from '../../src/machine/tracer-replies.js';
import { TracerClient } from '../../src/machine/tracer.js';
import { fakePeer } from './fake-peer.js';
import { anyValue, damaged, seeded } from './random.js';

const greeting =
  '{"QMP":{"version":{"qemu":{"micro":2,"minor":0,"major":10},"package":"Debian"},"capabilities":[]}}\r\n';
const hello =
  '{"return":{"tracer":"1","qemu":"10.0.2","target":"x86_64","pid":7,"mode":"dormant","running":true,"icount":0,' +
  '"blocks":[{"name":"pc.ram","address":140000000000000,"bytes":4096,"pageBytes":4096}]},"id":1}\n' +
  '{"event":"lease","data":{}}\n';

t.test('damaged lines are parsed or refused (5000 seeds)', (t) => {
  for (let seed = 1; seed <= 5000; seed++) {
    const random = seeded(seed);
    for (const parse of [parseMessage, parseGreeting]) {
      try {
        parse(damaged(Buffer.from(parse === parseGreeting ? greeting : hello.split('\n')[0]!), random));
      } catch (error) {
        if (!(error instanceof Error) || error instanceof TypeError) t.fail(`seed ${seed}: ${String(error)}`);
      }
    }
  }
  t.end();
});

t.test('any value in any field of any reply is validated or refused (5000 seeds)', (t) => {
  const schemas = Object.entries(replies).filter(([name]) => name.endsWith('Schema')) as [
    string,
    (typeof replies)['helloSchema'],
  ][];
  t.ok(schemas.length > 10);
  for (let seed = 1; seed <= 5000; seed++) {
    const random = seeded(seed);
    const [name, schema] = schemas[seed % schemas.length]!;
    if (!('shape' in schema)) continue;
    const value = Object.fromEntries(Object.keys(schema.shape).map((key) => [key, anyValue(random)]));
    try {
      schema.safeParse(value);
    } catch (error) {
      t.fail(`${name}, seed ${seed}: ${String(error)}`);
    }
  }
  t.end();
});

t.test('a connection full of damage ends in a typed error or a reply (150 seeds)', async (t) => {
  let bytes: Buffer = Buffer.alloc(0);
  const peer = await fakePeer(t, (_, socket) => {
    socket.end(bytes);
    return undefined;
  });
  for (let seed = 1; seed <= 150; seed++) {
    bytes = damaged(Buffer.from(hello), seeded(seed));
    const tracer = await TracerClient.connect(peer.path);
    const stream = tracer.events.stream();
    await tracer.hello({ timeoutMs: 2000 }).catch((error: unknown) => {
      if (!(error instanceof TrmigError) || error.code === 'E_TRACER_TIMEOUT') t.fail(`seed ${seed}: ${String(error)}`);
    });
    await stream.return();
    const opened = await tracer.openStream('log', { timeoutMs: 2000 }).catch((error: unknown) => {
      if (!(error instanceof TrmigError)) t.fail(`seed ${seed}: ${String(error)}`);
      return null;
    });
    opened?.destroy();
    tracer.close();
  }
});

t.test('a damaged greeting is refused or understood (150 seeds)', async (t) => {
  for (let seed = 1; seed <= 150; seed++) {
    const bytes = damaged(Buffer.from(greeting + '{"return":{},"id":1}\n'), seeded(seed)).toString('latin1');
    const peer = await fakePeer(t, (_, socket) => void socket.end(), bytes);
    await QmpClient.connect(peer.path, { timeoutMs: 30 }).then(
      (qmp) => qmp.close(),
      (error: unknown) => {
        if (!(error instanceof TrmigError)) t.fail(`seed ${seed}: ${String(error)}`);
      },
    );
    peer.sockets.forEach((socket) => socket.destroy());
  }
});
