// A recording is replayed later than it was made, when the alarm of the guest's clock has passed on the host's: in the replay it
// is still to come.
import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { recordMachine } from '../../src/migrate/record.js';
import { replayRecording } from '../../src/migrate/replay.js';
import { consoleText } from '../system/console.js';
import { boot, generously, stage, until } from '../system/stage.js';

/** Registers of the PC's clock (MC146818), and their value for "any". */
const alarm = { seconds: 1, minutes: 3, hours: 5 };
const any = 0xc0;
const ahead = 12;

/** A shell command that takes back what the clock has told of past alarms, as reading its register C does. */
const forget =
  'printf "\\x0c" | dd of=/dev/port bs=1 seek=112 conv=notrunc 2>/dev/null; ' +
  'dd if=/dev/port bs=1 skip=113 count=1 2>/dev/null >/dev/null';

/** A shell command that writes a register. */
const poke = (register: number, value: string): string =>
  `printf "\\\\x$(printf %02x ${register})" | dd of=/dev/port bs=1 seek=112 conv=notrunc 2>/dev/null; ` +
  `printf "\\\\x${value}" | dd of=/dev/port bs=1 seek=113 conv=notrunc 2>/dev/null`;

t.test('an alarm that has passed since', generously, async (t) => {
  const { a, b, folder } = stage(t);
  const machine = await boot(a, { workload: 'shell', memory: '128M' });
  await until('there is a prompt', () => /^\/ # /m.test(consoleText(machine.consoleLog)));
  const shell = createConnection(machine.paths.consoleSocket);
  t.teardown(() => shell.destroy());
  shell.write(`${poke(alarm.hours, any.toString(16))}; ${poke(alarm.minutes, any.toString(16))}\n`);
  // The clock counts in BCD, as does date.
  shell.write(
    `${poke(alarm.seconds, `$(date -u -d @$(($(date +%s) + ${ahead})) +%S)`)}; ${forget}; sleep 2; echo alarm set\n`,
  );
  await until('the alarm is set', () => /^alarm set/m.test(consoleText(machine.consoleLog)));
  const rec = join(folder, 'rec');
  const recorded = await recordMachine(machine, rec, { durationMs: 500 });
  await sleep(ahead * 1000);
  const signal = AbortSignal.timeout(60_000);
  t.match(await replayRecording(rec, { home: b, signal }), { final: true, icount: recorded.endIcount });
  await machine.stop({ graceful: false });
});
