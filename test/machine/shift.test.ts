import t from 'tap';
import { formatBytes, parseBytes } from '../../src/machine/memory.js';
import { chooseShift } from '../../src/machine/shift.js';

t.test('the shift is the power of two nearest to an instruction’s time', (t) => {
  const at = (ns: number): number => chooseShift({ instructions: 1e8, busyNs: 1e8 * ns });
  t.same([0.1, 0.5, 1, 1.4].map(at), [0, 0, 0, 0], 'a fast guest gets 0');
  t.same([1.42, 2, 2.8].map(at), [1, 1, 1]);
  t.same([2.9, 4, 5.6, 8, 16].map(at), [2, 2, 2, 3, 4]);
  t.equal(at(1e6), 10, 'never above QEMU’s bound');
  t.equal(at(Math.SQRT2 * 0.999999), 0, 'just under the middle goes down');
  t.end();
});

t.test('a guest that showed nothing gets the default', (t) => {
  for (const instructions of [0, 999_999, NaN]) t.equal(chooseShift({ instructions, busyNs: 1e9 }), 1);
  for (const busyNs of [0, -1, NaN]) t.equal(chooseShift({ instructions: 1e9, busyNs }), 1);
  t.end();
});

t.test('it is never more than half an octave from real time', (t) => {
  for (let ns = 1; ns < 1000; ns *= 1.07) {
    const ratio = 2 ** chooseShift({ instructions: 1e7, busyNs: 1e7 * ns }) / ns;
    if (ratio < Math.SQRT1_2 * 0.999 || ratio > Math.SQRT2 * 1.001) t.fail(`${ns} ns an instruction: ratio ${ratio}`);
  }
  t.end();
});

t.test('sizes are read as people write them, exactly', (t) => {
  const mib = 1024 * 1024;
  t.same(
    ['256M', '256MiB', '256 mb', '0.25G', '262144K', 256 * mib, String(256 * mib)].map(parseBytes),
    Array(7).fill(256 * mib),
  );
  t.same(
    ['', 'M', '-1M', '1e3', '0x10', '1.2.3G', '0.3K', '9999999T', 'Infinity', NaN, 1.5, -1].map(parseBytes),
    Array(12).fill(null),
  );
  t.same([256 * mib, 1536 * mib, 1024 * mib, 4096, 4097, 0].map(formatBytes), [
    '256M',
    '1536M',
    '1G',
    '4K',
    '4097',
    '0',
  ]);
  t.end();
});
