import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { Home } from '../../src/machine/home.js';
import { temporaryFolder } from './fake-peer.js';

t.test('the state directory comes from TRMIG_HOME, XDG_STATE_HOME or HOME', (t) => {
  t.equal(Home.fromEnvironment({ TRMIG_HOME: '/a/b', XDG_STATE_HOME: '/x', HOME: '/h' }).root, '/a/b');
  t.equal(Home.fromEnvironment({ XDG_STATE_HOME: '/x', HOME: '/h' }).root, '/x/trmig');
  t.equal(Home.fromEnvironment({ XDG_STATE_HOME: 'relative', HOME: '/h' }).root, '/h/.local/state/trmig');
  t.equal(Home.fromEnvironment({ TRMIG_HOME: '', HOME: '/h' }).root, '/h/.local/state/trmig');
  t.end();
});

t.test('names that are no harmless file name are refused', (t) => {
  const home = new Home('/h');
  for (const name of ['', '.', '..', '../x', 'a/b', 'A', '-a', '_a', 'a b', 'a\u0000', 'a\n', 'é', 'a'.repeat(64)]) {
    t.throws(() => home.machine(name), { code: 'E_MACHINE_NAME' }, JSON.stringify(name));
    t.throws(() => home.recording(name), { code: 'E_MACHINE_NAME' });
    t.throws(() => home.migration(name), { code: 'E_MACHINE_NAME' });
  }
  t.equal(home.machine('a'.repeat(63)).name.length, 63);
  t.equal(home.machine('web-1.a_b').folder, '/h/machines/web-1.a_b');
  t.end();
});

t.test('a socket path that the kernel could not hold is refused with its length', (t) => {
  const room = 107 - '/machines/a/console.sock'.length;
  t.equal(new Home(`/${'h'.repeat(room - 1)}`).machine('a').consoleSocket.length, 107);
  t.throws(() => new Home(`/${'h'.repeat(room)}`).machine('a'), {
    code: 'E_SOCKET_PATH',
    message: /console\.sock has 108 bytes.* at most 107/,
  });
  t.throws(() => new Home(`/${'é'.repeat(room / 2)}x`).machine('a'), { code: 'E_SOCKET_PATH' }, 'bytes are counted');
  t.end();
});

t.test('folders are closed to others, even those that were open', async (t) => {
  const home = new Home(path.join(temporaryFolder(t), 'state'));
  const { folder } = home.machine('web');
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  await home.make(folder);
  t.equal(statSync(folder).mode & 0o777, 0o700);
  writeFileSync(path.join(home.root, 'file'), '');
  await t.rejects(home.make(path.join(home.root, 'file', 'x')), { code: 'E_HOME', message: /ENOTDIR/ });
});

t.test('the machines are the folders with a name', async (t) => {
  const home = new Home(temporaryFolder(t));
  t.same(await home.machineNames(), []);
  for (const name of ['b', 'a', 'Not-One']) mkdirSync(path.join(home.machines, name), { recursive: true });
  writeFileSync(path.join(home.machines, 'file'), '');
  t.same(await home.machineNames(), ['a', 'b']);
});
