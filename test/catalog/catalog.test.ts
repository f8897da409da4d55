import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import SqliteDatabase from 'better-sqlite3';
import t from 'tap';
import { openDatabase } from '../../src/catalog/database.js';
import { schemaSteps } from '../../src/catalog/schema-steps.js';
import { SqliteCatalog } from '../../src/catalog/index.js';
import { entry, machine, migration, openCatalog, temporaryFile } from './samples.js';

t.test('machines are kept by name', async (t) => {
  const catalog = openCatalog(t);
  t.equal(await catalog.machine('web'), null);
  await catalog.putMachine(machine);
  await catalog.putMachine({ ...machine, name: 'db' });
  await catalog.putMachine({ ...machine, ownership: 'away', peer: 'host-b', updatedMs: 2 });
  t.strictSame(await catalog.machine('web'), { ...machine, ownership: 'away', peer: 'host-b', updatedMs: 2 });
  t.same(
    (await catalog.machines()).map(({ name }) => name),
    ['db', 'web'],
  );
  t.equal(await catalog.removeMachine('db'), true);
  t.equal(await catalog.removeMachine('db'), false);
});

t.test('a recording has its checkpoints and segment ranges', async (t) => {
  const catalog = openCatalog(t);
  await catalog.putRecording(entry);
  t.strictSame(await catalog.recording('r1'), entry.recording);
  t.strictSame(
    await catalog.checkpoints('r1'),
    entry.checkpoints.map((one) => ({ recording: 'r1', ...one })),
  );
  t.equal((await catalog.checkpointBefore('r1', 1999))?.icount, 1000);
  t.equal((await catalog.checkpointBefore('r1', 2000))?.icount, 2000);
  t.equal(await catalog.checkpointBefore('r2', 2000), null);
  t.equal((await catalog.segmentRangeAt('r1', 1499))?.file, 'log/0');
  t.equal((await catalog.segmentRangeAt('r1', 1500))?.file, 'log/1');
  t.equal(await catalog.segmentRangeAt('r1', 3000), null, 'a range does not hold its end');
});

t.test('a recording grows, and its parts stay when its own row changes', async (t) => {
  const catalog = openCatalog(t);
  await catalog.putRecording(entry);
  await catalog.updateRecording({ ...entry.recording, state: 'open', bytes: 2000 });
  await catalog.putCheckpoint({ recording: 'r1', icount: 2500, folder: 'checkpoints/2500', bytes: 1, createdMs: 9 });
  await catalog.putSegmentRange({
    recording: 'r1',
    seqFirst: 20,
    seqLast: 20,
    icountFrom: 3000,
    icountTo: 4000,
    file: 'log/2',
    bytes: 1,
  });
  t.equal((await catalog.recording('r1'))?.bytes, 2000);
  t.equal((await catalog.checkpoints('r1')).length, 4);
  t.equal((await catalog.segmentRanges('r1')).length, 3);
  await catalog.putRecording({ ...entry, segments: [] });
  t.equal((await catalog.segmentRanges('r1')).length, 0, 'putting it whole replaces its parts');
  t.equal(await catalog.removeRecording('r1'), true);
  t.same(await catalog.checkpoints('r1'), []);
  await t.rejects(catalog.putCheckpoint({ recording: 'r1', icount: 0, folder: 'x', bytes: 0, createdMs: 0 }), {
    code: 'E_CATALOG',
    facts: { sqlite: 'SQLITE_CONSTRAINT_FOREIGNKEY' },
  });
});

t.test('recordings and migrations are listed newest first, of one machine or of all', async (t) => {
  const catalog = openCatalog(t);
  for (const [i, name] of ['web', 'db', 'web'].entries()) {
    await catalog.putRecording({
      ...entry,
      recording: { ...entry.recording, id: `r${i}`, machine: name, createdMs: i },
    });
    await catalog.putMigration({ ...migration, id: `m${i}`, machine: name, startedMs: i });
  }
  t.same(
    (await catalog.recordings()).map(({ id }) => id),
    ['r2', 'r1', 'r0'],
  );
  t.same(
    (await catalog.recordings({ machine: 'web' })).map(({ id }) => id),
    ['r2', 'r0'],
  );
  t.same(
    (await catalog.migrations()).map(({ id }) => id),
    ['m2', 'm1', 'm0'],
  );
  t.same(
    (await catalog.migrations({ machine: 'web', limit: 1 })).map(({ id }) => id),
    ['m2'],
  );
  const done = { ...migration, id: 'm2', endedMs: 20, outcome: 'completed', downtimeNs: 5_000_000 } as const;
  await catalog.putMigration(done);
  t.strictSame(await catalog.migration('m2'), done);
  t.equal(await catalog.removeMigration('m2'), true);
  t.equal(await catalog.migration('m2'), null);
});

t.test('the file is made by the first call, for its owner only', async (t) => {
  const file = temporaryFile(t);
  const catalog = openCatalog(t, file);
  t.notOk(existsSync(file));
  await catalog.machines();
  t.equal(statSync(file).mode & 0o777, 0o600);
  t.equal(statSync(path.dirname(file)).mode & 0o777, 0o700);
  t.equal(statSync(`${file}-wal`).mode & 0o777, 0o600);
  catalog.close();
  await catalog.putMachine(machine);
  t.equal((await catalog.machines()).length, 1, 'and opened again after a close');
});

t.test('a row that could not be read back is not written', async (t) => {
  const catalog = openCatalog(t);
  for (const updatedMs of [-1, 1.5, 2 ** 53, NaN]) {
    await t.rejects(catalog.putMachine({ ...machine, updatedMs }), { code: 'E_INTERNAL' });
  }
  await t.rejects(catalog.putMachine({ ...machine, name: '' }), { code: 'E_INTERNAL' });
  t.same(await catalog.machines(), []);
});

t.test('a newer trmig’s catalog is refused and not touched', async (t) => {
  const file = temporaryFile(t);
  openDatabase(file, [...schemaSteps, 'CREATE TABLE fromTheFuture (x)']).close();
  const before = readFileSync(file);
  const catalog = openCatalog(t, file);
  await t.rejects(catalog.machines(), {
    code: 'E_CATALOG_NEWER',
    message: new RegExp(`has schema ${schemaSteps.length + 1}, and this trmig knows up to ${schemaSteps.length}`),
  });
  t.ok(readFileSync(file).equals(before));
});

t.test('an older catalog is brought up to date with what it holds', async (t) => {
  const file = temporaryFile(t);
  const old = openCatalog(t, file);
  await old.putMachine(machine);
  old.close();
  const steps = [...schemaSteps, 'ALTER TABLE machines ADD COLUMN note TEXT', 'UPDATE machines SET note = name'];
  const database = openDatabase(file, steps);
  t.equal(database.prepare('SELECT note FROM machines').pluck().get(), 'web');
  t.equal(database.pragma('user_version', { simple: true }), steps.length);
  database.close();
  openDatabase(file, steps).close();
});

t.test('a schema step that fails leaves the catalog as it was', async (t) => {
  const file = temporaryFile(t);
  const catalog = openCatalog(t, file);
  await catalog.putMachine(machine);
  t.throws(() => openDatabase(file, [...schemaSteps, 'DROP TABLE machines', 'nonsense']), { code: 'E_CATALOG' });
  t.equal((await catalog.machines()).length, 1);
});

t.test('another program’s database is not taken for a catalog', async (t) => {
  const file = temporaryFile(t);
  openDatabase(file).close();
  const other = `${file}.other`;
  const database = new SqliteDatabase(other);
  database.exec('CREATE TABLE bookmarks (url)');
  database.close();
  await t.rejects(openCatalog(t, other).machines(), { code: 'E_CATALOG', message: /not a catalog of trmig/ });
});

t.test('a damaged catalog says so and how to mend it', async (t) => {
  const file = temporaryFile(t);
  const catalog = openCatalog(t, file);
  for (let i = 0; i < 200; i++) await catalog.putMachine({ ...machine, name: `m${i}`, specJson: 'x'.repeat(500) });
  catalog.close();
  const good = readFileSync(file);
  const cases: [string, Buffer][] = [
    ['no database at all', Buffer.from('hello, '.repeat(1000))],
    ['its pages overwritten', Buffer.concat([good.subarray(0, 4096), Buffer.alloc(good.length - 4096, 0xff)])],
    ['its header overwritten', Buffer.concat([Buffer.alloc(100, 0xff), good.subarray(100)])],
    ['cut short', good.subarray(0, 8192)],
  ];
  for (const [what, bytes] of cases) {
    writeFileSync(file, bytes);
    const broken = new SqliteCatalog(file);
    await t.rejects(broken.machines(), { code: 'E_CATALOG_CORRUPT', hint: /trmig catalog rebuild/ }, what);
    broken.close();
  }
});

t.test('an impossible row is damage, not an answer', async (t) => {
  const file = temporaryFile(t);
  const catalog = openCatalog(t, file);
  await catalog.putMachine(machine);
  const direct = new SqliteDatabase(file);
  direct.exec('UPDATE machines SET updatedMs = -5');
  await t.rejects(catalog.machines(), { code: 'E_CATALOG_CORRUPT', message: /impossible row in machines/ });
  direct.exec('UPDATE machines SET updatedMs = 9007199254740993');
  direct.close();
  await t.rejects(catalog.machines(), { code: 'E_CATALOG_CORRUPT' });
});

t.test('a place that cannot be written is named', async (t) => {
  const file = temporaryFile(t);
  openDatabase(file).close();
  const below = path.join(file, 'catalog.db');
  await t.rejects(new SqliteCatalog(below).machines(), { code: 'E_CATALOG', message: /catalog\.db: E(NOTDIR|EXIST)/ });
});
