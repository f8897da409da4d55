// Whatever befalls a recording, its guest goes on, and what is left is usable or nothing.
import { open, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { Home, Machine, recordMachine } from '../../src/index.js';
import { Cli, errorOf, until } from './support.js';

const cli = await Cli.make(t);
const home = new Home(cli.home);
await cli.run('run', 'fixtures/specs/idle.yaml');
await cli.guestSays('idle', /^tick/);

async function digests(rec: string): Promise<Record<string, string>> {
  const ran = await cli.run('replay', rec, '--verify', '--json');
  return (ran.json.at(-1)!['replay'] as { digests: Record<string, string> }).digests;
}

/** The guest runs on, dormant. */
async function isUnharmed(name: string): Promise<boolean> {
  const { tracer } = (await cli.run('status', name, '--json')).json[0] as {
    tracer: { mode: string; running: boolean };
  };
  return tracer.mode === 'dormant' && tracer.running;
}

t.test('Ctrl-C before the checkpoint is whole leaves nothing', async (t) => {
  const rec = cli.file('cancelled.rec');
  const recorder = cli.start('checkpoint', 'idle', '--to', rec, '--json');
  await until('the image is being written', () => stat(`${rec}/ram.img.partial`).catch(() => null));
  recorder.child.kill('SIGINT');
  const ended = await recorder.ended;
  t.equal(ended.code, 130);
  t.match(errorOf(ended), { code: 'E_ABORTED' });
  await t.rejects(stat(rec), { code: 'ENOENT' });
  t.ok(await isUnharmed('idle'));
});

t.test('a killed recorder leaves what it had written', async (t) => {
  const rec = cli.file('killed.rec');
  const recorder = cli.start('checkpoint', 'idle', '--to', rec, '--until-interrupted', '--json');
  await until('the log grows', async () => (/"phase":"log"/.test(recorder.said()) ? true : null));
  await sleep(1_500);
  recorder.child.kill('SIGKILL');
  await recorder.ended;
  t.same(await digests(rec), await digests(rec));
  await until('it is dormant again', async () => ((await isUnharmed('idle')) ? true : null));
});

t.test('a full disk ends a recording, and what was written before is usable', async (t) => {
  const rec = cli.file('full.rec');
  const machine = await Machine.open('idle', { home });
  const fills: typeof open = async (file, flags) => {
    const handle = await open(file, flags);
    const write = handle.write.bind(handle) as (...args: unknown[]) => Promise<unknown>;
    let writes = 0;
    if (String(file).includes('.seg')) {
      Object.assign(handle, {
        write: (...args: unknown[]) => {
          writes += 1;
          if (writes > 10) return Promise.reject(Object.assign(new Error('no space'), { code: 'ENOSPC' }));
          return write(...args);
        },
      });
    }
    return handle;
  };
  const writer = { open: (file: string, flags: string) => fills(file, flags) };
  const failed = recordMachine(machine, rec, { durationMs: 30_000, writer });
  await t.rejects(failed, { code: 'E_DISK_FULL', facts: { recording: rec, segments: 10 } });
  machine.close();
  t.match((await cli.run('verify', rec, '--json')).json[0], { whole: true, segments: 10 });
  t.ok((await digests(rec))['ram']);
  t.ok(await isUnharmed('idle'));
});

t.test('a folder that cannot be made is told before anything is done', async (t) => {
  const ran = await cli.run('checkpoint', 'idle', '--to', '/proc/nowhere', '--json');
  t.match(errorOf(ran), { code: 'E_FILE_ACCESS' });
  t.ok(await isUnharmed('idle'));
});
