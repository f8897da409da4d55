// A person settles what no trmig can: journals are written by hand as a killed trmig leaves them, the QEMUs are real.
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import t from 'tap';
import type { Test } from 'tap';
import { Machine, type Home } from '../../src/machine/index.js';
import { beginArrival, endArrival } from '../../src/migrate/arrival.js';
import { OwnershipJournal, readJournal, type OwnershipRecord } from '../../src/migrate/journal.js';
import { choicesFor, resolveMachine } from '../../src/migrate/resolve.js';
import { standingOf } from '../../src/migrate/standing.js';
import { codeOf } from '../machine/fake-peer.js';
import { consoleText, discontinuity, waitForLines } from './console.js';
import { boot, generously, receiver, stage, until, type GuestOptions } from './stage.js';
import { Replay, Tape, frameFields, record } from './tape.js';

t.setTimeout(generously.timeout * 2);
const small = { workload: 'hotset', memory: '128M', hotsetMib: 8 } satisfies GuestOptions;
const arming = { shift: 2, stream: 'log', segmentMs: 20, segmentBytes: 1 << 20, checkpoint: false };

type Written = Pick<OwnershipRecord, 'role' | 'state'>;

/** Journals an unfinished migration. */
async function journaled(home: Home, migrationId: string, ...entries: Written[]): Promise<void> {
  mkdirSync(home.machine('m').folder, { recursive: true, mode: 0o700 });
  const journal = await OwnershipJournal.open(home.machine('m').ownership);
  const common = { migrationId, epoch: 1, peer: '10.0.0.9:7600', time: new Date().toISOString() };
  for (const entry of entries) await journal.append({ ...common, ...entry } as OwnershipRecord);
  await journal.close();
}

async function statesOf(home: Home, migrationId: string): Promise<string[]> {
  const { records } = await readJournal(home.machine('m').ownership);
  return records.filter((one) => one.migrationId === migrationId).map(({ state }) => state);
}

async function armed({ tracer }: Machine): Promise<Tape> {
  const tape = new Tape(await tracer.openStream('log'));
  await tracer.arm(arming);
  return tape;
}

/** As a source that was killed right after it gave the machine away, or just before it journaled that. */
async function fenced(machine: Machine): Promise<void> {
  const tape = await armed(machine);
  await machine.tracer.finish(60_000);
  await machine.tracer.relinquish();
  await until('the log is here to its end', () => tape.frames.some(frameFields.isFinal));
  tape.stream.destroy();
}

async function goesOn(t: Test, machine: Machine): Promise<void> {
  t.match(await machine.tracer.status(), { mode: 'dormant', running: true, owned: true });
  await waitForLines(machine.consoleLog, 2);
  t.equal(discontinuity(consoleText(machine.consoleLog)), null, 'the guest goes on');
}

const source = (...states: string[]): Written[] => states.map((state) => ({ role: 'source', state }) as Written);
const destination = (...states: string[]): Written[] =>
  states.map((state) => ({ role: 'destination', state }) as Written);

interface Ran {
  readonly code: number;
  readonly stdout: string;
}

function trmig(home: Home, ...args: string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['bin/trmig.js', ...args, '--home', home.root], (error, stdout) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout });
    });
  });
}

t.test('at the source', generously, async (t) => {
  const { a } = stage(t);
  const machine = await boot(a, small);
  const here = { home: a, decision: 'here' } as const;
  const there = { home: a, decision: 'there' } as const;

  await t.test('what was never migrated is settled', async (t) => {
    t.match(await resolveMachine('m', there), { owner: 'here', journaled: [], running: null });
    t.equal(await codeOf(resolveMachine('n', here)), 'E_MACHINE_UNKNOWN');
    t.equal((await trmig(a, 'resolve', 'm')).code, 0);
    await goesOn(t, machine);
  });

  await t.test('a machine that was given away is taken back', async (t) => {
    await fenced(machine);
    await journaled(a, 'one', ...source('recording', 'draining', 'relinquished'));
    t.match((await standingOf('m', { home: a })).ownership, {
      owner: 'there',
      advice: { command: 'trmig resolve m' },
    });
    t.match(await choicesFor('m', { home: a }), { settled: false, here: /10\.0\.0\.9:7600 must not/, there: /ends/ });
    const asked = await trmig(a, 'resolve', 'm');
    t.match(asked, { code: 1, stdout: /unfinished \(source, relinquished\)[^]*--here[^]*--there/ });
    t.match(await machine.tracer.status(), { running: false, owned: false }, 'asking changes nothing');
    const resolved = await resolveMachine('m', here);
    t.match(resolved, { owner: 'here', journaled: ['reclaimed', 'returned'], running: true });
    t.same(await statesOf(a, 'one'), ['recording', 'draining', 'relinquished', 'reclaimed', 'returned']);
    await goesOn(t, machine);
    t.match(await resolveMachine('m', there), { journaled: [], owner: 'here' }, 'settled is settled');
    await goesOn(t, machine);
  });

  await t.test('one that was fenced and not given away can only stay', async (t) => {
    await fenced(machine);
    await journaled(a, 'two', ...source('recording', 'draining'));
    t.equal(await codeOf(resolveMachine('m', there)), 'E_RESOLVE');
    t.same(await statesOf(a, 'two'), ['recording', 'draining']);
    t.match(await resolveMachine('m', here), { owner: 'here', running: true });
    await goesOn(t, machine);
  });

  await t.test('one that is being recorded is left alone', async (t) => {
    const tape = await armed(machine);
    await journaled(a, 'three', ...source('recording'));
    t.equal(await codeOf(resolveMachine('m', here)), 'E_BUSY');
    await machine.tracer.disarm();
    await tape.ended;
    t.match(await resolveMachine('m', here), { journaled: ['reclaimed', 'returned'], running: true });
    await goesOn(t, machine);
  });

  await t.test('a damaged journal decides nothing', async (t) => {
    const { ownership } = a.machine('m');
    const whole = readFileSync(ownership);
    const damaged = Buffer.from(whole);
    damaged[20]! ^= 1;
    writeFileSync(ownership, damaged);
    t.equal(await codeOf(resolveMachine('m', here)), 'E_JOURNAL_DAMAGED');
    t.same(readFileSync(ownership), damaged);
    writeFileSync(ownership, whole);
  });

  await t.test('a machine that went is ended, though its tracer does not answer', async (t) => {
    await fenced(machine);
    await journaled(a, 'four', ...source('recording', 'draining', 'relinquished'));
    machine.close();
    rmSync(a.machine('m').tracerSocket);
    t.equal(await codeOf(resolveMachine('m', here)), 'E_TRACER_CONNECT');
    t.same(await statesOf(a, 'four'), ['recording', 'draining', 'relinquished'], 'nothing is promised for it');
    const ran = await trmig(a, 'resolve', 'm', '--there', '--json');
    t.match(JSON.parse(ran.stdout), { resolution: { owner: 'there', journaled: ['retired'], running: false } });
    t.notOk(await machine.isAlive());
  });

  await t.test('one whose QEMU is gone is at least settled', async (t) => {
    await journaled(a, 'five', ...source('recording', 'draining'));
    t.match(await resolveMachine('m', here), { owner: 'here', running: null });
    t.same(await statesOf(a, 'five'), ['recording', 'draining', 'reclaimed', 'returned']);
  });
});

t.test('at the destination', generously, async (t) => {
  const { t: stageTest, a, b } = stage(t);
  const origin = await boot(a, small);
  const recorded = await record(origin, 2, 500);
  await origin.stop({ graceful: false });
  const here = { home: b, decision: 'here' } as const;
  const there = { home: b, decision: 'there' } as const;

  await t.test('what has not come to the end of its log can only be given up', async (t) => {
    const { machine } = await Replay.begin(stageTest, b, recorded);
    await journaled(b, 'one', ...destination('replaying'));
    t.equal(await codeOf(resolveMachine('m', here)), 'E_RESOLVE');
    t.same(await statesOf(b, 'one'), ['replaying']);
    t.match(await resolveMachine('m', there), { owner: 'there', journaled: ['discarded'], running: false });
    t.notOk(await machine.isAlive());
  });

  await t.test('what stands at the end goes on', async (t) => {
    const replay = await Replay.begin(stageTest, b, recorded);
    await journaled(b, 'two', ...destination('replaying'));
    await replay.play(recorded.frames);
    await beginArrival(b, 'm');
    t.equal(await codeOf(resolveMachine('m', there)), 'E_BUSY', 'its receiver lives');
    await endArrival(b, 'm');
    t.match((await standingOf('m', { home: b })).ownership, { owner: 'there', advice: { command: 'trmig resolve m' } });
    t.match(await resolveMachine('m', here), { owner: 'here', journaled: ['owner', 'live'], running: true });
    const { machine } = replay;
    t.match(await machine.tracer.status(), { mode: 'dormant', running: true });
    await waitForLines(machine.consoleLog, 2);

    await journaled(b, 'three', ...destination('replaying', 'owner'));
    t.equal(await codeOf(resolveMachine('m', there)), 'E_TOO_LATE');
    t.match(await resolveMachine('m', here), { journaled: ['live'], running: true }, 'what runs already is noted');
    t.same(await statesOf(b, 'three'), ['replaying', 'owner', 'live']);
    await waitForLines(machine.consoleLog, 2);
  });

  await t.test('stop --force ends it, though its tracer does not answer', async (t) => {
    rmSync(b.machine('m').tracerSocket);
    t.not((await trmig(b, 'stop', 'm')).code, 0);
    t.match(await Machine.list({ home: b }), [{ state: 'running' }]);
    t.equal((await trmig(b, 'stop', 'm', '--force')).code, 0);
    t.match(await Machine.list({ home: b }), [{ state: 'stopped', pid: null }]);
  });

  await t.test('what is owned and gone is named as such', async (t) => {
    await journaled(b, 'four', ...destination('replaying', 'owner'));
    t.equal(await codeOf(resolveMachine('m', here)), 'E_MACHINE_DEAD');
    t.same(await statesOf(b, 'four'), ['replaying', 'owner']);
  });
});

t.test("by the other host's journal", generously, async (t) => {
  const { t: stageTest, a, b } = stage(t);
  const machine = await boot(a, small);
  const recorded = await record(machine, 2, 500);
  const asked = async (home: Home, other: Home): Promise<Ran> => {
    const { port } = await receiver(t, other);
    return trmig(home, 'resolve', 'm', '--ask', `127.0.0.1:${port}`, '--json');
  };
  const resolution = ({ stdout }: Ran): unknown => (JSON.parse(stdout) as { resolution?: unknown }).resolution;

  await t.test('what the other host has not settled either stays as it is', async (t) => {
    await fenced(machine);
    await journaled(a, 'one', ...source('recording', 'draining', 'relinquished'));
    await journaled(b, 'one', ...destination('replaying'));
    const ran = await asked(a, b);
    t.match(
      { code: ran.code, ...JSON.parse(ran.stdout) },
      { code: 1, error: { code: 'E_RESOLVE', hint: /resolve m/ } },
    );
    t.same(await statesOf(a, 'one'), ['recording', 'draining', 'relinquished']);
    t.match(await machine.tracer.status(), { running: false, owned: false });
  });

  await t.test('what the other host has declined is taken back', async (t) => {
    await journaled(b, 'one', ...destination('declined'));
    t.match(resolution(await asked(a, b)), { owner: 'here', journaled: ['reclaimed', 'returned'], running: true });
    await goesOn(t, machine);
    t.match(resolution(await asked(a, b)), { owner: 'here', journaled: [] }, 'what is settled is not asked for');
  });

  await t.test('what was given away goes on where it stands at its last instruction', async (t) => {
    await journaled(a, 'two', ...source('recording', 'draining', 'relinquished'));
    const replay = await Replay.begin(stageTest, b, recorded);
    await journaled(b, 'two', ...destination('replaying'));
    await replay.play(recorded.frames);
    t.match(resolution(await asked(b, a)), { owner: 'here', journaled: ['owner', 'live'], running: true });
    await waitForLines(replay.machine.consoleLog, 2);
    t.match(resolution(await asked(a, b)), { owner: 'there', journaled: ['retired'], running: false });
    t.notOk(await machine.isAlive());
  });

  await t.test('who does not answer decides nothing', async (t) => {
    await journaled(a, 'three', ...source('recording', 'draining', 'relinquished'));
    const ran = await trmig(a, 'resolve', 'm', '--ask', '127.0.0.1:1', '--json');
    t.match(JSON.parse(ran.stdout), { error: { code: 'E_CONNECT' } });
    t.same(await statesOf(a, 'three'), ['recording', 'draining', 'relinquished']);
  });
});
