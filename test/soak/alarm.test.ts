// A recording is replayed later than it was made, when the alarm of the guest's clock has passed on the host's: in the replay it
// is still to come.
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { recordMachine } from '../../src/migrate/record.js';
import { replayRecording } from '../../src/migrate/replay.js';
import { consoleText } from '../system/console.js';
import { boot, generously, stage, until } from '../system/stage.js';

const aheadSeconds = 8;

t.test('an alarm that has passed since', generously, async (t) => {
  const { a, b, folder } = stage(t);
  const machine = await boot(a, { workload: 'shell', memory: '128M' });
  const shows = (what: RegExp): boolean => what.test(consoleText(machine.consoleLog));
  await until('there is a prompt', () => shows(/^\/ # /m));
  const shell = createConnection(machine.paths.consoleSocket);
  t.teardown(() => shell.destroy());
  shell.write(`echo +${aheadSeconds} > /sys/class/rtc/rtc0/wakealarm && grep alarm_IRQ /proc/driver/rtc\n`);
  await until('the alarm is set', () => shows(/alarm_IRQ\s+: yes/));
  const rec = join(folder, 'rec');
  const recorded = await recordMachine(machine, rec, { durationMs: 500 });
  await sleep(aheadSeconds * 1000);
  const signal = AbortSignal.timeout(60_000);
  t.match(await replayRecording(rec, { home: b, signal }), { final: true, icount: recorded.endIcount });
  await machine.stop({ graceful: false });
});
