import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { errorText } from '../../src/cli/base-command.js';
import { followFile } from '../../src/cli/follow-file.js';
import { formatCount, formatFactor, formatMs, formatSize } from '../../src/cli/quantities.js';
import { bar } from '../../src/cli/status-line.js';
import { isColourful, styleFor } from '../../src/cli/style.js';
import { pairLines, tableLines } from '../../src/cli/table.js';
import { TrmigError } from '../../src/errors.js';

t.test('quantities have three digits and a unit', async (t) => {
  t.same([0, 0.5234, 12.34, 999.9, 1234, 61_000, 200_000].map(formatMs), [
    '0 ms',
    '0.523 ms',
    '12.3 ms',
    '1000 ms',
    '1.23 s',
    '61.0 s',
    '3 min 20 s',
  ]);
  t.same([0, 312, 4200, 64 * 1024 * 1024].map(formatSize), ['0 B', '312 B', '4.10 KiB', '64.0 MiB']);
  t.same([987, 12_345, 1.37e9].map(formatCount), ['987', '12.3 k', '1.37 G']);
  t.equal(formatFactor(43.81), '43.8 ×');
});

t.test('columns are as wide as they must be', async (t) => {
  const lines = tableLines(
    [{ title: 'NAME' }, { title: 'PID', right: true }],
    [
      ['web', '1'],
      ['database', '12345'],
    ],
  );
  t.same(lines, ['NAME        PID', 'web           1', 'database  12345']);
  t.same(
    pairLines([
      ['a', '1'],
      ['long', '2'],
      ['', '3'],
    ]),
    ['a     1', 'long  2', '      3'],
  );
});

t.test('a bar is as long as it should be', async (t) => {
  t.same(
    [0, 0.5, 1, 7].map((share) => bar(share, 4)),
    ['░░░░', '██░░', '████', '████'],
  );
});

t.test('colour is for terminals, unless NO_COLOR says otherwise', async (t) => {
  t.equal(isColourful({ isTTY: true }, {}), true);
  t.equal(isColourful({ isTTY: true }, { NO_COLOR: '1' }), false);
  t.equal(isColourful({ isTTY: true }, { TERM: 'dumb' }), false);
  t.equal(isColourful({}, {}), false);
  t.equal(styleFor({}, {}).bad('text'), 'text');
  t.equal(styleFor({ isTTY: true }, {}).good('text'), '\u001b[32mtext\u001b[39m');
});

t.test('an error says what happened, why, and what mends it', async (t) => {
  const error = new TrmigError('E_DISK_FULL', '/x cannot grow: the disk is full');
  t.equal(
    errorText(error, styleFor({}), 'checkpoint'),
    'error: /x cannot grow: the disk is full (E_DISK_FULL)\nhint: Free some space, or choose another directory.\n',
  );
  t.match(errorText(new TrmigError('E_USAGE', 'no'), styleFor({}), 'log:stat'), /trmig log stat --help/);
});

t.test('a file is followed from its last lines on', async (t) => {
  const dir = await mkdtemp(path.join(tmpdir(), 'trmig-t-'));
  t.teardown(() => rm(dir, { recursive: true }));
  const file = path.join(dir, 'console.log');
  const tail = async (lines: number, follow = false, signal = new AbortController().signal): Promise<string> => {
    let text = '';
    for await (const bytes of followFile(file, { lines, follow, signal })) text += bytes.toString();
    return text;
  };
  t.equal(await tail(3), '', 'a file that is not there is empty');
  await writeFile(file, `${'x'.repeat(70_000)}\na\nb\nc\n`);
  t.equal(await tail(2), 'b\nc\n');
  t.equal(await tail(0), '');
  t.equal((await tail(4)).length, 70_007);
  t.equal((await tail(Infinity)).length, 70_007);
  const end = new AbortController();
  const followed = tail(1, true, end.signal);
  await new Promise((resolve) => setTimeout(resolve, 150));
  await appendFile(file, 'd without its end');
  await new Promise((resolve) => setTimeout(resolve, 150));
  end.abort();
  t.equal(await followed, 'c\nd without its end');
  t.equal(await tail(1), 'd without its end');
});
