// How long a guest was away, from nothing but its beats.
import t from 'tap';
import { outageBetween, silence, stallDuring } from '../../bench/beats.js';

/** Beats from one moment to another, one each period. */
const beats = (fromMs: number, toMs: number, periodMs = 5): number[] =>
  Array.from({ length: Math.floor((toMs - fromMs) / periodMs) + 1 }, (_, index) => fromMs + index * periodMs);
const move = { beganMs: 1000, endedMs: 3000 };

t.test('the outage is the gap between the two consoles, less the usual one', async (t) => {
  t.same(outageBetween(beats(0, 2000), beats(2025, 3000), move), { outageMs: 20, stallMs: 20 });
});

t.test('a guest whose clock was slow before the handover has a longer usual gap there', async (t) => {
  const slow = [...beats(0, 1000), ...beats(1000, 2000, 20)];
  t.equal(outageBetween(slow, beats(2042.5, 3000), move)!.outageMs, 30, 'halfway between 20 and 5 ms is usual');
  t.equal(outageBetween(slow, beats(2010, 3000), move)!.outageMs, 0, 'never less than nothing');
});

t.test('a stall after the handover is the outage when it is longer, one before it is only a stall', async (t) => {
  const faulting = [...beats(2025, 2100), ...beats(2180, 3000)];
  t.same(outageBetween(beats(0, 2000), faulting, move), { outageMs: 75, stallMs: 75 });
  const paused = [...beats(0, 1500), ...beats(1600, 2000)];
  t.same(outageBetween(paused, beats(2025, 3000), move), { outageMs: 20, stallMs: 95 });
  const later = [...beats(2025, 3200), ...beats(3900, 4000)];
  t.equal(outageBetween(beats(0, 2000), later, move)!.outageMs, 20, 'what comes after the move is not its');
});

t.test('a gap that reaches beyond the end of the move counts whole', async (t) => {
  t.equal(outageBetween(beats(0, 2000), [...beats(2025, 2900), ...beats(3100, 3200)], move)!.outageMs, 195);
});

t.test('without beats nothing was seen', async (t) => {
  t.equal(outageBetween([], beats(0, 100), move), null);
  t.equal(outageBetween(beats(0, 100), [], move), null);
  t.equal(stallDuring([], move), null);
  t.equal(silence([]), null);
});

t.test('a guest that stayed where it was may have stalled too', async (t) => {
  t.equal(stallDuring([...beats(0, 1500), ...beats(1580, 4000)], move), 75);
  t.equal(stallDuring([...beats(0, 500), ...beats(900, 4000)], move), 0, 'before the move');
});

t.test('a series without a handover in it has a longest silence', async (t) => {
  t.equal(silence([...beats(0, 500), ...beats(560, 900)]), 55);
});
