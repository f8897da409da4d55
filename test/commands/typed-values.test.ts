import t from 'tap';
import {
  parseDuration,
  requireAddress,
  requireDuration,
  requirePosition,
  requireRate,
  requireShare,
} from '../../src/cli/typed-values.js';

t.test('durations have a unit', async (t) => {
  t.equal(parseDuration('20ms'), 20);
  t.equal(parseDuration('2.5s'), 2500);
  t.equal(parseDuration('2 m'), 120_000);
  t.equal(parseDuration('1h'), 3_600_000);
  for (const text of ['20', '', 'ms', '-1s', '1e3s', '1d', '1.s']) t.equal(parseDuration(text), null, text);
  t.throws(() => requireDuration('20', 'max-downtime'), { code: 'E_USAGE', message: /--max-downtime 20/ });
});

t.test('a position is an instruction count or guest time', async (t) => {
  t.same(requirePosition('123456', 'until'), { icount: 123456 });
  t.same(requirePosition('2.5s', 'until'), { guestMs: 2500 });
  t.same(requirePosition('0', 'until'), { icount: 0 });
  for (const text of ['-1', '1.5', 'end', '9'.repeat(17)]) {
    t.throws(() => requirePosition(text, 'until'), { code: 'E_USAGE' }, text);
  }
});

t.test('addresses', async (t) => {
  t.same(requireAddress('10.0.0.2:7600'), { host: '10.0.0.2', port: 7600 });
  t.same(requireAddress('[::1]:7600'), { host: '::1', port: 7600 });
  t.same(requireAddress(':7600', '0.0.0.0'), { host: '0.0.0.0', port: 7600 });
  for (const text of ['host', ':1', 'host:', 'host:99999', 'a:b:1', '']) {
    t.throws(() => requireAddress(text), { code: 'E_USAGE' }, text);
  }
});

t.test('shares', async (t) => {
  t.equal(requireShare('30%', 'max-pace', 0.95), 0.3);
  t.equal(requireShare('0.3', 'max-pace', 0.95), 0.3);
  for (const text of ['96%', '2', '-1%', 'x'])
    t.throws(() => requireShare(text, 'max-pace', 0.95), { code: 'E_USAGE' }, text);
});

t.test('rates', async (t) => {
  t.same(
    ['100mbit', '1.5gbit/s', '12MB/s', '12 MiB/s', '64kbit'].map((text) => requireRate(text, 'bandwidth')),
    [12.5e6, 187.5e6, 12e6, 12 * 2 ** 20, 8000],
  );
  for (const text of ['12', '12MB', '12mb/s', '12Mb/s', '12mbps', '100Mbit', '-1mbit', '63kbit', '0mbit', 'fast', '']) {
    t.throws(() => requireRate(text, 'bandwidth'), { code: 'E_USAGE', hint: /100mbit, 12MB\/s/ }, text);
  }
});
