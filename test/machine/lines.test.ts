import t from 'tap';
import { LineReader, LineTooLong } from '../../src/machine/lines.js';
import { seeded } from './random.js';

const texts = (lines: Buffer[]): string[] => lines.map((line) => line.toString('utf8'));

t.test('lines come whole, whatever their ends', (t) => {
  const reader = new LineReader(100);
  t.same(texts(reader.push(Buffer.from('{"a":1}\r\n{"b"'))), ['{"a":1}']);
  t.equal(reader.pendingBytes, 4);
  t.same(texts(reader.push(Buffer.from(':2}\n\n\r\nx'))), ['{"b":2}']);
  t.same(texts(reader.push(Buffer.from('\n'))), ['x']);
  t.equal(reader.pendingBytes, 0);
  t.end();
});

t.test('a line that is too long is refused, with or without an end', (t) => {
  t.same(texts(new LineReader(5).push(Buffer.from('12345\n'))), ['12345']);
  t.throws(() => new LineReader(5).push(Buffer.from('123456\n')), LineTooLong);
  const reader = new LineReader(5);
  reader.push(Buffer.from('1234'));
  t.throws(() => reader.push(Buffer.from('56')), LineTooLong);
  t.end();
});

t.test('cutting the stream anywhere changes nothing (300 seeds)', (t) => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = seeded(seed);
    const lines = Array.from({ length: 20 }, () => 'é"x'.repeat(1 + Math.floor(random() * 30)));
    const bytes = Buffer.from(lines.map((line) => line + (random() < 0.5 ? '\n' : '\r\n')).join(''));
    const reader = new LineReader(1000);
    const found: string[] = [];
    for (let at = 0; at < bytes.length;) {
      const end = at + Math.floor(random() * 40);
      found.push(...texts(reader.push(bytes.subarray(at, end))));
      at = end;
    }
    if (found.join('\n') !== lines.join('\n')) t.strictSame(found, lines, `seed ${seed}`);
  }
  t.end();
});
