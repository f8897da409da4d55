// Two state directories as two hosts: a machine migrates by command, recordings are shipped.
import { readFile, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import t from 'tap';
import { SqliteCatalog } from '../../src/catalog/index.js';
import { Cli, errorOf, qemusOf, until, type Running } from './support.js';

const [a, b] = [await Cli.make(t), await Cli.make(t)];

async function receiver(cli: Cli, ...args: string[]): Promise<{ running: Running; address: string }> {
  const running = cli.start('receive', '--listen', '127.0.0.1:0', '--json', ...args);
  const address = await until('it listens', async () => /"listening":"([^"]+)"/.exec(running.said())?.[1] ?? null);
  return { running, address };
}

t.test('a host that is not trusted is refused before the machine is touched', async (t) => {
  t.equal((await a.run('run', 'fixtures/specs/idle.yaml')).code, 0);
  await a.guestSays('idle', /^tick/, 2);
  for (const cli of [a, b]) t.equal((await cli.run('keys', 'init')).code, 0);
  const { running, address } = await receiver(b, '--no-plaintext');
  const refused = await a.run('migrate', 'idle', address, '--no-plaintext', '--json');
  t.match(errorOf(refused), { code: 'E_UNTRUSTED', hint: /trmig keys trust/ });
  t.equal(refused.json.length, 1, 'no phase was begun');
  t.match((await a.run('status', 'idle', '--json')).json[0], {
    tracer: { mode: 'dormant', running: true, segments: 0, pauses: [] },
    ownership: { last: null },
  });
  t.same((await b.run('ls', '--json')).json, []);
  running.child.kill('SIGINT');
  await running.ended;
  for (const [one, other] of [
    [a, b],
    [b, a],
  ] as const) {
    const { key } = (await other.run('keys', 'show', '--json')).json[0] as { key: { certificate: string } };
    await writeFile(one.file('other.pem'), key.certificate);
    t.equal((await one.run('keys', 'trust', one.file('other.pem'), '--name', 'other')).code, 0);
  }
});

t.test('a machine migrates, encrypted and at a rate, and the commands say so', async (t) => {
  const { running, address } = await receiver(b, '--once', '--no-plaintext');
  const report = a.file('report');
  const link = ['--no-plaintext', '--bandwidth', '160mbit'];
  const moved = await a.run('migrate', 'idle', address, '--verify', '--report-dir', report, '--json', ...link);
  t.same([moved.code, errorOf(moved)], [0, {}]);
  t.match(moved.json.at(-1), {
    migration: {
      outcome: 'completed',
      owner: 'destination',
      digests: { ram: 'equal', disks: 'skipped', devices: 'equal', registers: 'equal' },
      link: { encrypted: true, bytesPerSecondMax: 20e6 },
    },
    report: `${report}/report.json`,
  });
  const { bytes, totalMs } = (moved.json.at(-1) as { migration: { bytes: { base: number }; totalMs: number } })
    .migration;
  t.ok(totalMs > (bytes.base / 20e6) * 1000, `${bytes.base} bytes of memory in ${totalMs} ms`);
  t.ok(
    moved.json.some(({ phase }) => phase === 'catching-up'),
    'phases are told as they come',
  );
  t.match(JSON.parse(await readFile(`${report}/report.json`, 'utf8')), { machine: 'idle', outcome: 'completed' });
  t.match(await readFile(`${report}/report.html`, 'utf8'), /^<!DOCTYPE html>/);
  const received = await running.ended;
  t.same([received.code, errorOf(received)], [0, {}]);
  t.match(received.json.at(-1), { machine: 'idle', live: true, error: null });
  t.match((await a.run('status', 'idle', '--json')).json[0], { state: 'stopped', ownership: { owner: 'there' } });
  await b.guestSays('idle', /^tick/, 2);

  const rebuilt = await a.run('catalog', 'rebuild', '--json');
  t.match(rebuilt.json[0], { machines: 1, recordings: 0, problems: [], movedTo: null });
  for (const [cli, ownership] of [
    [a, 'away'],
    [b, 'here'],
  ] as const) {
    const catalog = new SqliteCatalog(cli.file('catalog.db'));
    t.match(await catalog.machine('idle'), { name: 'idle', ownership });
    catalog.close();
  }
});

t.test('without a receiver the machine stays', async (t) => {
  const ran = await b.run('migrate', 'idle', '127.0.0.1:9', '--json');
  t.match(errorOf(ran), { code: 'E_CONNECT' });
  t.equal(ran.code, 69);
  t.match((await b.run('status', 'idle', '--json')).json[0], { tracer: { mode: 'dormant', running: true } });
});

t.test('a recording is shipped while it grows, and is the same there', async (t) => {
  const rec = b.file('r');
  const { running, address } = await receiver(a);
  const recorder = b.start('checkpoint', 'idle', '--to', rec, '--for', '4s', '--json');
  await until('the recording has begun', () => stat(`${rec}/manifest.trm`).catch(() => null));
  const shipped = await b.run('ship', rec, address, '--follow', '--json');
  t.same([shipped.code, errorOf(shipped)], [0, {}]);
  t.equal((await recorder.ended).code, 0);
  const { name, reason } = shipped.json.at(-1)!['shipped'] as { name: string; reason: string };
  t.equal(reason, 'duration');
  const there = `${a.home}/recordings/${name}`;
  t.match((await a.run('verify', there, '--json')).json[0], { whole: true, recording: { status: 'complete' } });
  t.same((await a.run('log', 'diff', rec, there, '--json')).json, [{ same: true }]);
  const replayed = await a.run('replay', there, '--json');
  t.match(replayed.json.at(-1), { replay: { machine: 'idle-replay', final: true } });

  const again = await b.run('ship', rec, address, '--json');
  const { segments } = shipped.json.at(-1)!['shipped'] as { segments: number };
  t.match(again.json.at(-1), { shipped: { name, reason, segments, held: segments, bytes: { base: 0, log: 0 } } });
  t.match((await a.run('verify', there, '--json')).json[0], { whole: true, recording: { status: 'complete' } });

  const stranger = connect(Number(address.split(':').at(-1)), '127.0.0.1');
  stranger.on('error', () => undefined);
  stranger.write('GET / HTTP/1.1\r\n\r\n');
  await until('garbage is refused', async () => (running.said().includes('E_WIRE_GARBAGE') ? true : null));
  stranger.destroy();

  running.child.kill('SIGINT');
  t.equal((await running.ended).code, 0, 'a receiver that is told to end ends in order');
});

t.test('Ctrl-C takes a migration back', async (t) => {
  const { running, address } = await receiver(a);
  const migration = b.start('migrate', 'idle', address, '--json');
  await until('it ships', async () => (/"phase":"shipping"/.test(migration.said()) ? true : null));
  migration.child.kill('SIGINT');
  const ended = await migration.ended;
  t.equal(ended.code, 130);
  t.match(ended.json.at(-1), { migration: { outcome: 'aborted', owner: 'source', error: { code: 'E_ABORTED' } } });
  t.match((await b.run('status', 'idle', '--json')).json[0], { tracer: { mode: 'dormant', running: true } });
  await until('the receiver has discarded it', async () => (running.said().includes('"live":false') ? true : null));
  t.same(await qemusOf(a.home), []);
  running.child.kill('SIGINT');
  await running.ended;
});
