// For an hour a machine with disk and nic goes to and fro between two hosts, and all that can happen to a move happens, at random
// moments. It is one machine to the end: no number of its console is missing or there twice, whatever its store has answered its
// client is on its disk, and neither host has anything left of it.
// TRMIG_SOAK_SECONDS says how long (3600); TRMIG_SEED what happens, and TRMIG_SOAK_ROUND=17 has only that of round 17 happen,
// after a move that shows how long one takes: the same fault at the same share of a move, in a state that is the machine's affair.
import t from 'tap';
import type { Test } from 'tap';
import { choose, nameOf, type Choice } from '../pingpong/chance.js';
import { Field } from '../pingpong/field.js';
import { outcomeLine, playRound } from '../pingpong/round.js';
import { Tally } from '../pingpong/tally.js';
import { quantile } from '../pingpong/trend.js';
import { withoutLan } from '../system/lan.js';

const seconds = Number(process.env['TRMIG_SOAK_SECONDS'] ?? 3_600);
const seed = Number(process.env['TRMIG_SEED'] ?? Math.floor(Math.random() * 1_000_000) * 1_000);
const only = process.env['TRMIG_SOAK_ROUND'];
const verifiesEvery = 5;
/** For the last round's patience and for the end. */
const graceMs = 1_800_000;
const timeout = seconds * 1000 + graceMs;

t.setTimeout(timeout);
t.test('a machine goes to and fro, whatever happens', { timeout, skip: withoutLan }, async (t) => {
  t.comment(`TRMIG_SEED=${seed}`);
  const field = await Field.make(t);
  const tally = new Tally();
  await field.boot();
  const usualMs = await usualOf(t, field, 2);
  t.comment(`a move takes ${(usualMs / 1000).toFixed(1)} s`);
  const rounds = only === undefined ? roundsFor(seconds) : [Number(only)];
  for (const round of rounds) {
    const choice = choose(seed, round);
    if (!(await playOne(t, field, tally, { round, choice, usualMs }))) return;
  }
  const { rounds: calm, moved } = tally.calm;
  t.ok(moved >= calm * 0.9, `${moved} of ${calm} moves that nothing disturbed ended well`);
  t.same(tally.problems(), [], 'nothing has grown');
  t.comment(tally.text());
  await endAll(t, field);
});

/** 1, 2, 3 and so on, until the time is over. */
function* roundsFor(forSeconds: number): Generator<number> {
  const untilMs = performance.now() + forSeconds * 1000;
  for (let round = 1; performance.now() < untilMs; round++) yield round;
}

/** How long a move takes in which nothing happens. */
async function usualOf(t: Test, field: Field, moves: number): Promise<number> {
  const tookMs: number[] = [];
  for (let i = 0; i < moves; i++) {
    const choice = { verify: false, disturbance: null };
    const outcome = await playRound(field, choice, { usualMs: 0, verifiesDisk: false });
    t.comment(outcomeLine(0, choice, outcome));
    tookMs.push(outcome.moveMs);
  }
  return quantile(tookMs, 0);
}

interface Turn {
  readonly round: number;
  readonly choice: Choice;
  readonly usualMs: number;
}

async function playOne(t: Test, field: Field, tally: Tally, { round, choice, usualMs }: Turn): Promise<boolean> {
  try {
    const outcome = await playRound(field, choice, { usualMs, verifiesDisk: round % verifiesEvery === 0 });
    tally.add(choice, outcome);
    t.comment(outcomeLine(round, choice, outcome));
    return true;
  } catch (thrown) {
    const what = `round ${round}, ${nameOf(choice)} ${JSON.stringify(choice)}`;
    t.fail(`${what}:\n${(thrown as Error).stack}\nreproduce: TRMIG_SEED=${seed} TRMIG_SOAK_ROUND=${round}`);
    t.comment(tally.text());
    return false;
  }
}

/** All that the client was ever answered is on the disk, the guest finds every record, and no host has anything to say. */
async function endAll(t: Test, field: Field): Promise<void> {
  await field.ask('verify', /verify: ok \d+ records.*\n/);
  const found = await field.endClient();
  t.comment(JSON.stringify(found));
  t.match(found, { problem: null, answered: found.sent, stored: found.sent }, 'all that was answered is stored');
  t.ok(found.sent > 0);
  for (const station of field.stations) {
    const { stdout } = await station.trmig('status', '--json');
    t.match(JSON.parse(stdout.trim()), { ownership: { advice: null, error: null } }, `status on ${station.name}`);
    const doctor = await station.trmig('doctor', '--json');
    t.equal(doctor.code, 0, `doctor on ${station.name}`);
    if (doctor.code !== 0) t.comment(doctor.stdout);
  }
  await field.end();
  await field.hosts.close();
  for (const station of field.stations) t.notOk(station.lives, `nothing of ${station.name} lives`);
}
