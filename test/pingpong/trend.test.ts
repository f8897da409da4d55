import t from 'tap';
import { isFlat, quantile, trendOf } from './trend.js';

const slack = { share: 0.1, rest: 5 };
const samples = (value: (at: number) => number): { at: number; value: number }[] =>
  Array.from({ length: 30 }, (_, at) => ({ at, value: value(at) }));

t.test('noise is no growth, and neither is one bad moment', async (t) => {
  t.ok(isFlat(trendOf(samples((at) => 100 + (at % 7))), slack));
  t.ok(isFlat(trendOf(samples((at) => (at === 29 ? 10_000 : 100))), slack));
});

t.test('growth is seen, in whatever order the samples come', async (t) => {
  const growing = samples((at) => 100 + at);
  t.notOk(isFlat(trendOf(growing), slack));
  t.notOk(isFlat(trendOf(growing.reverse()), slack));
});

t.test('a few samples say nothing', async (t) => {
  t.equal(trendOf(samples((at) => at * 1000).slice(0, 8)), null);
  t.ok(isFlat(null, slack));
});

t.test('quantiles', async (t) => {
  t.equal(quantile([3, 1, 2], 0.5), 2);
  t.equal(quantile([3, 1, 2], 1), 3);
  t.ok(Number.isNaN(quantile([], 0.5)));
});
