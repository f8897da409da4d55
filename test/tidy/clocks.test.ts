// A host's wall clock jumps, and two hosts' never agree: it is for people to read, and decides nothing but whether a certificate
// is over. Whatever is waited for or measured uses a clock that only goes forward.
import t from 'tap';
import { treeFiles } from './tree.js';

/** Files that write the time down, each of them for people only. */
const writers = [
  'src/catalog/rebuild.ts',
  'src/migrate/arrival.ts',
  'src/migrate/catalog-entries.ts',
  'src/migrate/give-up.ts',
  'src/migrate/metrics.ts',
  'src/migrate/receive-recording.ts',
  'src/migrate/record.ts',
  'src/migrate/resolve.ts',
  'src/migrate/session-journal.ts',
  'src/migrate/take-over.ts',
];

/** A certificate ends on a day, by any host's calendar (and src/wire/secure.ts judges it so). */
const calendars = ['src/commands/keys/ls.ts', 'src/doctor/key-checks.ts'];

t.test('the wall clock is read only where it is written down', async (t) => {
  const found = treeFiles(/^src\/.*\.ts$/)
    .filter(({ text }) => /\bDate\.now\(|\bnew Date\(\)|\bDate\(\)/.test(text))
    .map(({ path }) => path);
  t.same(found.sort(), [...writers, ...calendars].sort());
});

t.test('no time that was written down is compared', async (t) => {
  const compared = /\.(time|createdMs|updatedMs|startedAt)\b\s*(<|>|-)/;
  const found = treeFiles(/^src\/.*\.ts$/).filter(({ text }) => compared.test(text));
  t.same(
    found.map(({ path }) => path),
    [],
  );
});
