// The whole machine moves to another host and back, and on to a third: with its disk and its nics, while its guest writes to
// the one and talks at the others. Nothing that it wrote is lost, no connection breaks, no host is left with anything odd.
// TRMIG_ROUNDS says how often it goes around (1), TRMIG_STAY_S how long it stays before it comes back (0), TRMIG_DISK_MIB how
// large its disk is (192), a third of which is full.
import t from 'tap';
import { Lan, withoutLan } from './lan.js';
import { generously, sleep } from './stage.js';

t.setTimeout(generously.timeout * 3);
const rounds = Number(process.env['TRMIG_ROUNDS'] ?? 1);
const staySeconds = Number(process.env['TRMIG_STAY_S'] ?? 0);
const diskMib = Number(process.env['TRMIG_DISK_MIB'] ?? 192);
const options = { timeout: generously.timeout * rounds, skip: withoutLan };

t.test('an aarch64 guest with disk and nic moves to another host and back', options, async (t) => {
  const lan = await Lan.make(t, { arch: 'aarch64', nics: 1, diskMib });
  await lan.boot();
  const there = await lan.move(lan.a, lan.b);
  await sleep(staySeconds * 1000);
  const back = await lan.move(lan.b, lan.a);
  const share = back.bytes.disk / there.bytes.disk;
  t.ok(share < 0.05, `the way back took ${(share * 100).toFixed(2)} % of the disk's bytes`);
  await lan.end(lan.a);
});

t.test('an x86_64 guest with disk and two nics goes there and back, and around three hosts', options, async (t) => {
  const lan = await Lan.make(t, { arch: 'x86_64', nics: 2, diskMib });
  const { a, b, c } = lan;
  await lan.boot();
  const first = await lan.move(a, b);
  await sleep(staySeconds * 1000);
  const share = (later: typeof first): number => later.bytes.disk / first.bytes.disk;
  const back = share(await lan.move(b, a));
  t.ok(back < 0.05, `the way back took ${(back * 100).toFixed(2)} % of the disk's bytes`);
  const downtimesMs: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    for (const [from, to] of [
      [a, b],
      [b, c],
      [c, a],
    ] as const) {
      const report = await lan.move(from, to);
      downtimesMs.push(report.downtimeMs ?? NaN);
      t.comment(`round ${round}: ${await lan.sizes(to)}`);
      // The third host has nothing of it, the first time. On a slow machine a move takes as long as many writes do.
      if (round > 1 || to !== c)
        t.ok(share(report) < 0.15, `${(share(report) * 100).toFixed(2)} % of the disk's bytes`);
    }
  }
  t.comment(`downtimes ${downtimesMs.map((ms) => ms.toFixed(1)).join(' ')} ms`);
  for (const host of [b, c]) t.same(await lan.left(host), []);
  await lan.end(a);
});
