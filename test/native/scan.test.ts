// The event scanner, as the addon binds it. native/core/test holds the finer tests, under sanitizers.

import t from 'tap';
import { scanEvents } from '../../src/native/index.js';
import { seededRandom } from './holder.js';

const u32 = (n: number): number[] => [n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255];
const u64 = (n: number): number[] => [...u32(Math.floor(n / 2 ** 32)), ...u32(n % 2 ** 32)];
const array = (...bytes: number[]): number[] => [...u32(bytes.length), ...bytes];

/** One event of every shape that QEMU 10.0 writes. */
const events: number[][] = [
  [0, ...u32(1234)],
  [1],
  [2],
  [3, ...u64(99)],
  [4, ...u64(100)],
  [5, ...u32(0), ...u32(0), ...u64(30), 1],
  [5, ...u32(0), ...u32(1), ...u32(30), 0],
  [5, ...u32(1), ...u32(2), 1],
  [5, ...u32(2), ...u32(0), ...u64(5)],
  [5, ...u32(3), ...u32(1), ...u64(500)],
  [5, ...u32(4), ...u32(1), ...u64(2), ...u64(3), ...u32(0), ...u64(4)],
  [6],
  [7, 0, ...array(104, 105)],
  [7, 1, ...array()],
  [8, ...u64(7)],
  [9, 0, ...u32(0), ...array(1, 2, 3, 4)],
  ...Array.from({ length: 11 }, (_, cause) => [10 + cause]),
  [22, ...u32(5), ...u32(5)],
  [23, ...array(9)],
  [24, ...u32(0xfffffff5)],
  [25, ...u64(64)],
  [26, ...u64(2), ...u64(10), ...u64(1), ...u64(2), ...u64(3), ...u64(4)],
  [26, ...u64(0), ...u64(10)],
  [27, ...u32(0), ...array(7, 7, 7, 7, 7, 7, 7, 7)],
  [28, ...u64(1_700_000_000_000)],
  [29, ...u64(5_000)],
  ...Array.from({ length: 9 }, (_, checkpoint) => [30 + checkpoint]),
];

t.test('every kind of event is measured and counted', async (t) => {
  const scan = scanEvents(Uint8Array.from(events.flat()));
  t.equal(scan.error, null);
  t.equal(scan.events, events.length);
  t.equal(scan.bytes, events.flat().length);
  t.equal(scan.instructions, 1234);
  for (let kind = 0; kind < 40; kind++) {
    t.equal(scan.counts[kind], events.filter(([code]) => code === kind).length, `events of code ${kind}`);
  }
});

t.test('a payload cut anywhere counts its whole events only', async (t) => {
  const bytes = Uint8Array.from(events.flat());
  const borders = new Map([[0, 0]]);
  let at = 0;
  for (const [i, event] of events.entries()) borders.set((at += event.length), i + 1);
  let whole = 0;
  for (let cut = 0; cut <= bytes.length; cut++) {
    whole = borders.get(cut) ?? whole;
    const scan = scanEvents(bytes.subarray(0, cut));
    t.equal(scan.error, null);
    t.equal(scan.events, whole);
    if (borders.has(cut)) t.equal(scan.bytes, cut);
  }
});

t.test('what QEMU never writes is refused with a reason', async (t) => {
  const refuse = (why: RegExp, ...bytes: number[]): void => {
    const scan = scanEvents(Uint8Array.from([1, ...bytes]));
    t.match(scan.error, why);
    t.equal(scan.bytes, 1, 'the events before it stand');
  };
  refuse(/event code/, 21);
  refuse(/event code/, 40);
  refuse(/event code/, 255);
  refuse(/END/, 39);
  refuse(/instructions/, 0, ...u32(0));
  refuse(/instructions/, 0, ...u32(0x80000000));
  refuse(/array/, 23, ...u32(16 * 1024 * 1024));
  refuse(/array/, 7, 0, ...u32(0xffffffff));
  refuse(/INPUT/, 5, ...u32(5));
  refuse(/key/, 5, ...u32(0), ...u32(2));
  refuse(/samples/, 26, ...u64(2 ** 40), ...u64(0));
});

t.test('random bytes never crash the scanner', async (t) => {
  const seed = Number(process.env['TRMIG_SEED'] ?? 1);
  const random = seededRandom(seed);
  for (let round = 0; round < 3000; round++) {
    const bytes = Uint8Array.from({ length: random(200) }, () => random(random(2) ? 42 : 256));
    const scan = scanEvents(bytes);
    if (scan.bytes > bytes.length) t.fail(`reproduce: TRMIG_SEED=${seed}, round ${round}`);
  }
  t.pass();
});
