// One process at a time gives a machine away, also when it stands still.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { Home } from '../../src/machine/index.js';
import { assertNotDeparting, whileDeparting } from '../../src/migrate/departure.js';
import { codeOf } from '../machine/fake-peer.js';

t.test('a second one is refused while the first lives, suspended or not, and never afterwards', async (t) => {
  // Short: the paths of sockets are checked.
  const folder = await mkdtemp(join(tmpdir(), 'trmig-departure-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const home = new Home(folder);
  const paths = home.machine('m');
  await mkdir(paths.folder, { recursive: true });
  const script = fileURLToPath(new URL('departing-process.js', import.meta.url));
  const first = spawn(process.execPath, [script, home.root], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.teardown(() => first.kill('SIGKILL'));
  await once(first.stdout, 'data');
  let begun = 0;
  const second = (): Promise<string> => codeOf(whileDeparting(paths, async () => begun++));
  t.equal(await second(), 'E_BUSY');
  first.kill('SIGSTOP');
  t.equal(await second(), 'E_BUSY', 'it may wake up');
  t.equal(await codeOf(assertNotDeparting(paths)), 'E_BUSY');
  t.equal(begun, 0);
  first.kill('SIGKILL');
  await once(first, 'exit');
  await assertNotDeparting(paths);
  t.equal(await whileDeparting(paths, async () => 7), 7);
  await t.rejects(
    whileDeparting(paths, async () => {
      throw new Error('mine');
    }),
    /mine/,
  );
  t.equal(await whileDeparting(paths, async () => 8), 8, 'one that failed holds nothing');
});
