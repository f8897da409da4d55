import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { openDatabase } from '../../src/catalog/database.js';
import { rebuildCatalog, type Scanners } from '../../src/catalog/index.js';
import { schemaSteps } from '../../src/catalog/schema-steps.js';
import { entry, machine, migration, openCatalog, temporaryFile } from './samples.js';

const problem = { path: '/recordings/bad', reason: 'its manifest is cut short' };
const scanners: Scanners = {
  machines: async function* () {
    yield machine;
  },
  recordings: async function* () {
    yield { problem };
    yield entry;
  },
  migrations: async function* () {
    yield migration;
  },
};

t.test('what is on disk replaces what the catalog said', async (t) => {
  const catalog = openCatalog(t);
  await catalog.putMachine({ ...machine, name: 'gone' });
  await catalog.putRecording({ ...entry, recording: { ...entry.recording, id: 'gone' } });
  const report = await rebuildCatalog(catalog.file, scanners);
  t.strictSame(report, { machines: 1, recordings: 1, migrations: 1, problems: [problem], movedTo: null });
  t.strictSame(await catalog.machines(), [machine], 'seen by a catalog that was open all the while');
  t.strictSame(
    (await catalog.recordings()).map(({ id }) => id),
    ['r1'],
  );
  t.equal((await catalog.checkpoints('r1')).length, 3);
  t.same(await catalog.checkpoints('gone'), []);
  t.same(await catalog.migrations(), [migration]);
});

t.test('it is made where there was none', async (t) => {
  const file = temporaryFile(t);
  t.equal((await rebuildCatalog(file, {})).movedTo, null);
  t.same(await openCatalog(t, file).machines(), []);
});

t.test('a damaged one is moved aside, never deleted', async (t) => {
  const file = temporaryFile(t);
  openDatabase(file).close();
  const bytes = Buffer.from('no database '.repeat(1000));
  writeFileSync(file, bytes);
  const { movedTo } = await rebuildCatalog(file, scanners);
  t.ok(movedTo);
  t.ok(readFileSync(movedTo!).equals(bytes));
  t.strictSame(await openCatalog(t, file).machines(), [machine]);
});

t.test('damage that only a full check finds is found', async (t) => {
  const file = temporaryFile(t);
  const catalog = openCatalog(t, file);
  for (let i = 0; i < 500; i++) await catalog.putMigration({ ...migration, id: `m${i}`, errorCode: 'x'.repeat(200) });
  catalog.close();
  const bytes = readFileSync(file);
  bytes.fill(0xff, bytes.length - 8192);
  writeFileSync(file, bytes);
  t.same(await openCatalog(t, file).machines(), [], 'a part of it still answers');
  t.ok((await rebuildCatalog(file, scanners)).movedTo);
});

t.test('a newer trmig’s catalog is left alone', async (t) => {
  const file = temporaryFile(t);
  openDatabase(file, [...schemaSteps, 'SELECT 1']).close();
  await t.rejects(rebuildCatalog(file, scanners), { code: 'E_CATALOG_NEWER' });
  t.same(readdirSync(path.dirname(file)), ['catalog.db']);
});

t.test('a scan that fails or is cancelled leaves the catalog as it was', async (t) => {
  const catalog = openCatalog(t);
  await catalog.putMachine({ ...machine, name: 'kept' });
  const failing: Scanners = {
    ...scanners,
    // eslint-disable-next-line require-yield
    recordings: async function* () {
      throw new Error('the disk is gone');
    },
  };
  await t.rejects(rebuildCatalog(catalog.file, failing), /the disk is gone/);
  await t.rejects(rebuildCatalog(catalog.file, scanners, { signal: AbortSignal.abort() }), { code: 'E_ABORTED' });
  await t.rejects(
    rebuildCatalog(catalog.file, {
      ...scanners,
      migrations: async function* () {
        yield { ...migration, startedMs: -1 };
      },
    }),
    { code: 'E_INTERNAL' },
  );
  t.same(
    (await catalog.machines()).map(({ name }) => name),
    ['kept'],
  );
});
