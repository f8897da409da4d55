// One recording that goes on from host to host: three state directories as three hosts, each of which takes the machine over
// from the recording, records on into it, and ships it to the next. And what is left when one of them is killed at it.
import { cp, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { RecordingReader, RecordingWriter, type EndDigests } from '../../src/log/index.js';
import { Cli, errorOf, until, type Ran } from './support.js';

const [a, b, c] = [await Cli.make(t), await Cli.make(t), await Cli.make(t)];
const onto = 300; // ms of a leg; the guest's counter goes on by one a second

interface Shipped {
  readonly name: string;
  readonly segments: number;
  readonly held: number;
  readonly bytes: { readonly base: number; readonly log: number; readonly total: number };
}

/** Ships to a receiver that lives as long as that takes. Returns the recording's folder there, too. */
async function ship(from: Cli, rec: string, to: Cli): Promise<Shipped & { readonly there: string }> {
  const receiver = to.start('receive', '--listen', '127.0.0.1:0', '--json', '--once');
  const address = await until('it listens', async () => /"listening":"([^"]+)"/.exec(receiver.said())?.[1] ?? null);
  const ran = await from.run('ship', rec, address, '--json');
  const received = await receiver.ended;
  if (ran.code !== 0 || received.code !== 0) throw new Error(ran.stdout + ran.stderr + received.stdout);
  const shipped = ran.json.at(-1)!['shipped'] as Shipped;
  return { ...shipped, there: to.file(`recordings/${shipped.name}`) };
}

const digestsOf = (ran: Ran): unknown =>
  (ran.json.find((line) => 'replay' in line)!['replay'] as { digests: unknown }).digests;

const consoleOf = (cli: Cli): Promise<string> => readFile(cli.file('machines/idle/console.log'), 'utf8');

async function ticks(): Promise<number[]> {
  const text = (await consoleOf(a)) + (await consoleOf(b)) + (await consoleOf(c).catch(() => ''));
  return [...text.matchAll(/^tick (\d+)\r?$/gm)].map((match) => Number(match[1]));
}

let recording = '';

t.test('a machine goes from host to host on one recording', async (t) => {
  await a.run('run', 'fixtures/specs/idle.yaml');
  await a.guestSays('idle', /^tick/, 2);
  const rec = a.file('rec');
  const given = await a.run('checkpoint', 'idle', '--to', rec, '--for', `${onto}ms`, '--give-up', '--json');
  t.same([given.code, errorOf(given)], [0, {}]);
  const first = await ship(a, rec, b);
  const early = await ship(a, rec, c);
  t.match([first, early], [{ held: 0 }, { held: 0 }]);
  t.ok(first.bytes.base > 0);

  const atB = first.there;
  const second = await b.run('replay', atB, '--live', '--record', '--verify', '--for', '3s', '--give-up', '--json');
  t.same([second.code, errorOf(second)], [0, {}]);
  const live = second.json.find((line) => 'replay' in line);
  t.match(live, { replay: { machine: 'idle', state: 'live', recorded: null } }, 'is told when it is live');
  t.match(second.json.at(-1), { recording: { dir: atB, from: first.segments, reason: 'given-up' } });
  t.match((await b.run('status', 'idle', '--json')).json[0], {
    state: 'stopped',
    ownership: { owner: 'there', last: { role: 'source', state: 'retired' }, advice: null },
  });
  t.match((await b.run('verify', atB, '--json')).json[0], { whole: true, problems: [] });
  t.match(errorOf(await b.run('replay', atB, '--live', '--fork', '--json')), {}, 'a fork of both legs');
  await b.run('stop', 'idle-fork');

  const rest = await ship(b, atB, c);
  t.match(rest, { held: first.segments, bytes: { base: 0 }, there: early.there });
  t.ok(rest.segments > rest.held && rest.bytes.log > 0, 'the new segments cross');
  t.ok(rest.bytes.total < first.bytes.total / 20, `${rest.bytes.total} bytes instead of ${first.bytes.total}`);
  t.same((await b.run('log', 'diff', atB, rest.there, '--json')).json, [{ same: true }]);

  // The digests that B took when it gave the machine up are compared: a replay that ends elsewhere fails.
  const looked = await c.run('replay', rest.there, '--verify', '--json');
  t.same([looked.code, errorOf(looked)], [0, {}]);
  const third = await c.run('replay', rest.there, '--live', '--verify', '--json');
  t.same([third.code, errorOf(third)], [0, {}]);
  t.same(digestsOf(third), digestsOf(looked));
  await c.guestSays('idle', /^tick/, 2);
  const counted = await ticks();
  t.same(
    counted,
    counted.map((_, i) => counted[0]! + i),
    'the counter goes on over three hosts',
  );
  t.match(errorOf(await c.run('replay', rest.there, '--live', '--json')), { code: 'E_RECORDING_HELD' });
  recording = rest.there;

  const other = c.file('other');
  await cp(recording, other, { recursive: true });
  const writer = await RecordingWriter.resume(other);
  const { digests } = (await RecordingReader.open(other)).manifest as { digests: EndDigests };
  await writer.reopen();
  await writer.complete('given-up', { ...digests, ram: digests.registers });
  const wrong = await c.run('replay', other, '--verify', '--json');
  t.match(errorOf(wrong), { code: 'E_DIVERGED', message: /ram differ/ }, 'another end is not taken for this one');
  t.match((await c.run('replay', other, '--json')).json.at(-1), { replay: { final: true } }, 'memory is not looked at');
});

t.test('a recording whose end another host has gone on from is not taken back to it', async (t) => {
  const receiver = c.start('receive', '--listen', '127.0.0.1:0', '--json');
  const address = await until('it listens', async () => /"listening":"([^"]+)"/.exec(receiver.said())?.[1] ?? null);
  const ran = await a.run('ship', a.file('rec'), address, '--json');
  t.match(errorOf(ran), { code: 'E_RECORDING_EXISTS', message: /has more of it/ });
  t.match((await c.run('verify', recording, '--json')).json[0], { whole: true, recording: { status: 'complete' } });
  receiver.child.kill('SIGINT');
  await receiver.ended;
});

t.test('a recorder that is killed at it leaves the machine running, and the recording as far as it came', async (t) => {
  await a.run('run', 'fixtures/specs/idle.yaml', '--name', 'other');
  await a.guestSays('other', /^tick/, 2);
  const rec = a.file('killed');
  t.equal((await a.run('checkpoint', 'other', '--to', rec, '--for', `${onto}ms`, '--give-up')).code, 0);
  const { there } = await ship(a, rec, b);
  const recorder = b.start('replay', there, '--live', '--record', '--give-up', '--json');
  await until('it records', async () => (/"elapsedMs":[^}]*"icount":[1-9]/.test(recorder.said()) ? true : null));
  t.match(errorOf(await b.run('replay', there, '--live', '--record', '--json')), { code: 'E_RECORDING_BUSY' });
  await sleep(1_500);
  recorder.child.kill('SIGKILL');
  await recorder.ended;

  await until('the machine is dormant again', async () => {
    const [standing] = (await b.run('status', 'other', '--json')).json;
    const { tracer } = standing as { tracer: { mode: string; running: boolean } };
    return tracer.mode === 'dormant' && tracer.running ? true : null;
  });
  const before = (await b.guestSays('other', /^tick/)).length;
  await b.guestSays('other', /^tick/, before + 2);
  t.match((await b.run('status', 'other', '--json')).json[0], {
    ownership: { owner: 'here', last: { role: 'source', state: 'recording' }, advice: { command: /^trmig resolve/ } },
  });
  t.match((await b.run('resolve', 'other', '--here', '--json')).json[0], {
    resolution: { owner: 'here', journaled: ['reclaimed', 'returned'], running: true },
  });

  t.match((await b.run('verify', there, '--json')).json[0], { whole: true, recording: { status: 'recording' } });
  const [once, again] = [
    await b.run('replay', there, '--verify', '--json'),
    await b.run('replay', there, '--verify', '--json'),
  ];
  t.same([once.code, errorOf(once)], [0, {}]);
  t.same(digestsOf(once), digestsOf(again), 'it replays, both legs of it');
  t.match(
    errorOf(await b.run('replay', there, '--live', '--json')),
    { code: 'E_RECORDING_UNREADY' },
    'and moves nothing',
  );
  t.match(await ship(b, there, c), { held: 0 }, 'and is shipped');
});
