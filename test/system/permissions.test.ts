// A machine, and what is recorded of it, belong to the user who started it: no other local user can drive it, read its console or
// its memory, whatever the umask was. Needs root, to become another user.
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, lstatSync, readdirSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { recordMachine } from '../../src/migrate/record.js';
import { boot, generously, stage } from './stage.js';

const python = '/usr/bin/python3'; // One that another user may run.
const cannot =
  process.getuid?.() !== 0 ? 'only root can become another user' : !existsSync(python) && `there is no ${python}`;
const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups', '--no-new-privs'];

t.setTimeout(generously.timeout * 2);

/** Everything under a folder that somebody else than its owner may use in some way. */
function open(folder: string): string[] {
  const all = ['.', ...readdirSync(folder, { recursive: true, encoding: 'utf8' })];
  return all.filter((name) => (lstatSync(path.join(folder, name)).mode & 0o077) !== 0);
}

t.test('another user can do nothing with a machine', { ...generously, skip: cannot || generously.skip }, async (t) => {
  const { a, folder } = stage(t);
  chmodSync(folder, 0o755); // As if the user had made it so: the rest must not depend on it.
  const before = process.umask(0);
  t.teardown(() => process.umask(before));
  const machine = await boot(a, { workload: 'idle', memory: '128M' });
  const dir = path.join(folder, 'recording');
  await recordMachine(machine, dir, { durationMs: 500 });
  process.umask(before);
  t.same(open(a.root), [], 'the state directory is closed');
  t.same(open(dir), [], 'the recording is closed');

  await machine.tracer.stop(60_000);
  const { pid: frozen } = await machine.tracer.freeze();
  const { pid, blocks } = await machine.tracer.hello();
  const attempts = (as: readonly string[]): string[] => {
    const script = path.resolve('test/system/stranger.py');
    const args = [script, machine.paths.folder, `${pid},${frozen}`, String(blocks[0]!.address)];
    // The script is read here: its folder may be closed to the other user.
    const said = execFileSync('setpriv', [...as, python, '-', ...args.slice(1)], {
      input: execFileSync('cat', [script]),
      encoding: 'utf8',
      cwd: '/',
    });
    return said.split('\n').filter((line) => line !== '');
  };
  t.same(attempts(nobody), [], 'with the folders as they are');
  for (let up = machine.paths.folder; up !== folder; up = path.dirname(up)) chmodSync(up, 0o755);
  t.same(
    attempts(nobody),
    ['list the folder'],
    'and with the folders opened, each file and socket is closed by itself',
  );
  t.equal(attempts(['--reuid=0']).length, 13, 'the owner can do all of it');
  await machine.tracer.thaw(frozen);
  await machine.tracer.cont();
  machine.close();
});
