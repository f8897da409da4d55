import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { throttleBurstMs } from '../../src/limits.js';
import { connect, listen, type Identity } from '../../src/wire/connect.js';
import type { Link } from '../../src/wire/link.js';
import { totalBytes } from '../../src/wire/meter.js';
import { Throttle, TokenBucket } from '../../src/wire/throttle.js';
import { SAMPLES, seeded } from './samples.js';

const rate = 1_000_000;
const burstBytes = (rate * throttleBurstMs) / 1000;

t.test('a bucket lets a frame go while it is not in debt, and then has the debt waited for', async (t) => {
  const bucket = new TokenBucket(rate, 0);
  t.equal(bucket.waitMs(0), 0);
  bucket.take(burstBytes, 0);
  t.equal(bucket.waitMs(0), 0, 'it is empty, and owes nothing');
  bucket.take(1_000_000, 0);
  t.equal(bucket.waitMs(0), 1000);
  t.equal(bucket.waitMs(400), 600);
  t.equal(bucket.waitMs(1000), 0);
  t.equal(bucket.waitMs(500), 0, 'a clock that goes back takes nothing');
  bucket.take(2 * burstBytes, 100_000);
  t.equal(bucket.waitMs(100_000), throttleBurstMs, 'a long rest gives no more than a burst');
});

t.test(
  'whatever comes in whatever order, no more goes than the rate allows, and the log is not held up by bulk',
  async (t) => {
    const random = seeded(Number(process.env['TRMIG_SEED'] ?? 7));
    const throttle = new Throttle(rate, 0);
    const [frameMax, logMax] = [1_000_000, 100_000];
    let [nowMs, sent, log, longestLogWaitMs] = [0, 0, 0, 0];
    for (let i = 0; i < 2000; i++) {
      const bulk = random() < 0.5;
      const kind = bulk ? 'base' : 'log';
      const bytes = Math.ceil(random() * (bulk ? frameMax : logMax));
      const waitMs = throttle.waitMs(kind, nowMs);
      if (bulk) nowMs += waitMs;
      else longestLogWaitMs = Math.max(longestLogWaitMs, waitMs);
      if (!bulk && waitMs > 0) continue;
      throttle.sent(kind, bytes, nowMs);
      throttle.sent('overhead', 1_000_000, nowMs);
      sent += bytes;
      if (!bulk) log += bytes;
      const allowed = (rate * nowMs) / 1000;
      if (sent > allowed + 2 * burstBytes + frameMax + logMax) t.fail(`${sent} bytes after ${nowMs} ms`);
      t.equal(throttle.waitMs('overhead', nowMs), 0);
    }
    t.ok(sent > (rate * nowMs) / 1000 - burstBytes, 'and no less');
    t.ok(
      log > 0 && longestLogWaitMs <= (logMax * 1000) / rate,
      `the log waited for itself alone: ${longestLogWaitMs} ms`,
    );
  },
);

const who = (host: string): Identity => ({ trmig: '0.1.0', host, capabilities: [] });

async function capped(t: Test, bytesPerSecondMax: number): Promise<{ near: Link; far: Link }> {
  let admitted: (link: Link) => void;
  const admission = new Promise<Link>((resolve) => (admitted = resolve));
  const listener = await listen('127.0.0.1', 0, { identity: who('blue'), onLink: (link) => admitted(link) });
  const near = await connect('127.0.0.1', listener.port, { identity: who('red'), link: { bytesPerSecondMax } });
  const far = await admission;
  t.teardown(() => (near.destroy(), far.destroy(), listener.close()));
  return { near, far };
}

t.test('a link keeps to its cap over a real socket, while control frames and the log go past the bulk', async (t) => {
  const bytesPerSecondMax = 4_000_000;
  const { near, far } = await capped(t, bytesPerSecondMax);
  t.equal(near.bytesPerSecondMax, bytesPerSecondMax);
  t.equal(far.bytesPerSecondMax, null);
  const arrivals: { readonly kind: string; readonly atMs: number }[] = [];
  const begunMs = performance.now();
  const reading = (async () => {
    for await (const { kind } of far.frames()) arrivals.push({ kind, atMs: performance.now() - begunMs });
  })();
  const chunk = { ...SAMPLES.imageChunk, compressed: Buffer.alloc(1_000_000, 1) };
  const bulk = Array.from({ length: 5 }, () => near.send(chunk));
  await delay(20);
  await Promise.all([near.send(SAMPLES.segment), near.send(SAMPLES.query)]);
  await Promise.all(bulk);
  await near.close();
  await reading;
  const bytes = totalBytes(near.bytes.sent);
  // The fifth chunk goes when the four before it are paid for, less the burst.
  const leastMs = ((4 * chunk.compressed.length) / bytesPerSecondMax) * 1000 - throttleBurstMs;
  const lastMs = arrivals.at(-1)!.atMs;
  t.ok(lastMs >= leastMs * 0.95, `${bytes} bytes in ${lastMs.toFixed(0)} ms, not before ${leastMs.toFixed(0)}`);
  t.same(
    arrivals.map(({ kind }) => kind),
    ['imageChunk', 'segment', 'query', 'imageChunk', 'imageChunk', 'imageChunk', 'imageChunk'],
  );
});

t.test('closing a link that is capped sends what waits', async (t) => {
  const { near, far } = await capped(t, 8_000_000);
  const reading = (async () => {
    let count = 0;
    for await (const _ of far.frames()) count++;
    return count;
  })();
  const chunk = { ...SAMPLES.imageChunk, compressed: Buffer.alloc(600_000, 1) };
  const sends = [1, 2, 3].map(() => near.send(chunk));
  await near.close();
  await Promise.all(sends);
  t.equal(await reading, 3);
});
