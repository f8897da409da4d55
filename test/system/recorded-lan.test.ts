// A machine with a disk and a nic goes around three hosts on one recording, whose log each of them goes on with: there is one
// checkpoint, at the beginning. TRMIG_ROUNDS says how often it goes around (1).
import t from 'tap';
import { Lan, withoutLan } from './lan.js';
import { generously } from './stage.js';

const rounds = Number(process.env['TRMIG_ROUNDS'] ?? 1);
t.setTimeout(generously.timeout * 3 * rounds);
const options = { timeout: generously.timeout * 2 * rounds, skip: withoutLan };

t.test('a guest with disk and nic goes around three hosts on a log that goes on', options, async (t) => {
  const lan = await Lan.make(t, { arch: 'x86_64', nics: 1, diskMib: 96 });
  const { a, b, c } = lan;
  await lan.boot();
  let recording = await lan.recordAway(a);
  for (let round = 1; round <= rounds; round++) {
    recording = await lan.passOn(a, b, recording, { stays: false });
    recording = await lan.passOn(b, c, recording, { stays: false });
    recording = await lan.passOn(c, a, recording, { stays: round === rounds });
    t.comment(`round ${round}: ${await lan.sizes(a)}`);
  }
  await lan.end(a);
});
