// Keys as a person uses them: made on both hosts, handed over by a pipe, and then a recording is shipped, encrypted.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import t from 'tap';
import { folder, randomLog, seeded } from '../log/support.js';
import { record } from '../migrate/small-recording.js';
import { Cli, errorOf, until } from './support.js';

/** `trmig keys show` on one host into `trmig keys trust -` on the other. */
function handOver(from: Cli, to: Cli, name: string): string {
  const trmig = `'${process.execPath}' bin/trmig.js`;
  const line = `${trmig} keys show --home ${from.home} | ${trmig} keys trust - --name ${name} --home ${to.home}`;
  return execFileSync('sh', ['-c', line]).toString();
}

t.test('two hosts are made to trust each other, and only then one ships to the other', async (t) => {
  const [a, b] = [await Cli.make(t), await Cli.make(t)];
  const rec = folder(t);
  await record(rec, randomLog(seeded(t), 5));

  const early = await a.run('ship', rec, '127.0.0.1:9', '--no-plaintext', '--json');
  t.match(errorOf(early), { code: 'E_CONNECT' });
  t.match(errorOf(await b.run('receive', '--listen', '0.0.0.0:0', '--json')), { code: 'E_KEYS_MISSING' });
  t.match(errorOf(await a.run('keys', 'show', '--json')), { code: 'E_KEYS_MISSING', hint: /trmig keys init/ });

  for (const cli of [a, b]) t.equal((await cli.run('keys', 'init')).code, 0);
  t.match(errorOf(await a.run('keys', 'init', '--json')), { code: 'E_KEYS' });
  const shown = (await a.run('keys', 'show', '--json')).json[0]!['key'] as { fingerprint: string; certificate: string };
  t.match(shown, { fingerprint: /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/, certificate: /BEGIN CERTIFICATE/ });

  const receiver = b.start('receive', '--listen', '127.0.0.1:0', '--no-plaintext', '--json');
  const address = await until('it listens', async () => /"listening":"([^"]+)"/.exec(receiver.said())?.[1] ?? null);
  const ship = async (): Promise<Awaited<ReturnType<Cli['run']>>> =>
    a.run('ship', rec, address, '--no-plaintext', '--json');

  t.match(handOver(b, a, 'b'), /^b is trusted\n/);
  const refused = await ship();
  t.equal(refused.code, 77);
  t.match(errorOf(refused), { code: 'E_UNTRUSTED', hint: /trmig keys show \| ssh \S+ trmig keys trust -/ });
  const told = await until('it tells', async () => /"refused":(\{.*?\}\})/.exec(receiver.said())?.[1] ?? null);
  t.match(JSON.parse(told), { code: 'E_UNTRUSTED', facts: { fingerprint: shown.fingerprint } });

  handOver(a, b, 'a');
  t.match((await ship()).json.at(-1), { shipped: { segments: 5 } }, 'the receiver that runs knows at once');
  t.match(errorOf(await a.run('ship', rec, address, '--json')), { code: 'E_TLS', hint: /--plaintext/ });
  t.match((await b.run('keys', 'ls', '--json')).json, [{ name: 'a', fingerprint: shown.fingerprint }]);
  t.match((await b.run('keys', 'ls')).stdout, new RegExp(`^NAME.*\na .*${shown.fingerprint}\n$`));

  t.equal((await b.run('keys', 'forget', 'a')).code, 0);
  t.match(errorOf(await ship()), { code: 'E_UNTRUSTED' }, 'nor does it take anything once it was told otherwise');
  receiver.child.kill('SIGINT');
  t.equal((await receiver.ended).code, 0);
});

t.test('what is no certificate is not trusted', async (t) => {
  const cli = await Cli.make(t);
  const file = cli.file('x.pem');
  writeFileSync(file, 'nothing');
  t.match(errorOf(await cli.run('keys', 'trust', file, '--json')), { code: 'E_KEYS', hint: /keys show/ });
  t.match(errorOf(await cli.run('keys', 'trust', cli.file('none'), '--json')), { code: 'E_FILE_ACCESS' });
  t.match(errorOf(await cli.run('keys', 'trust', '/dev/zero', '--json')), { code: 'E_USAGE' });
  t.same((await cli.run('keys', 'ls', '--json')).json, []);
});
