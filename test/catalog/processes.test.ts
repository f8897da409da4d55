// Several processes at one catalog, as commands run by hand and by an agent are.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import SqliteDatabase from 'better-sqlite3';
import t from 'tap';
import { openDatabase } from '../../src/catalog/database.js';
import { machine, openCatalog, temporaryFile } from './samples.js';

const run = promisify(execFile);
const writer = fileURLToPath(new URL('writer.js', import.meta.url));

t.test('processes that write at once lose nothing, from the making of the file on', async (t) => {
  const file = temporaryFile(t);
  const rows = 100;
  await Promise.all(['a', 'b', 'c'].map((id) => run(process.execPath, [writer, file, id, String(rows)])));
  const catalog = openCatalog(t, file);
  t.equal((await catalog.machines()).length, 3 * rows);
  t.equal((await catalog.recordings()).length, 3 * rows);
  for (const { id } of await catalog.recordings()) {
    if ((await catalog.checkpoints(id)).length !== 3) t.fail(`${id} lost a checkpoint`);
  }
  t.same(await catalog.check(), []);
});

t.test('processes that make the file at once make one', async (t) => {
  for (let round = 0; round < 3; round++) {
    const file = temporaryFile(t);
    await Promise.all(['a', 'b', 'c', 'd'].map((id) => run(process.execPath, [writer, file, id, '1'])));
    t.equal((await openCatalog(t, file).machines()).length, 4);
  }
});

t.test('a writer killed in the middle leaves a sound catalog', async (t) => {
  const file = temporaryFile(t);
  openDatabase(file).close();
  await t.rejects(run(process.execPath, [writer, file, 'a', '1000000'], { timeout: 700, killSignal: 'SIGKILL' }));
  const catalog = openCatalog(t, file);
  t.same(await catalog.check(), []);
  const [machines, recordings] = [await catalog.machines(), await catalog.recordings()];
  t.ok(machines.length > 0);
  t.ok(machines.length - recordings.length <= 1, 'at most the call that was cut off');
});

t.test('readers go on while one writes; a second writer waits, and is told when it waited too long', async (t) => {
  const catalog = openCatalog(t);
  await catalog.putMachine(machine);
  const other = new SqliteDatabase(catalog.file);
  t.teardown(() => other.close());
  other.exec('BEGIN IMMEDIATE; DELETE FROM machines');
  t.equal((await catalog.machines()).length, 1);
  const begun = performance.now();
  await t.rejects(catalog.putMachine(machine), { code: 'E_CATALOG_BUSY', message: /locked for more than 5000 ms/ });
  t.ok(performance.now() - begun > 4500);
  other.exec('ROLLBACK');
  await catalog.putMachine(machine);
});
