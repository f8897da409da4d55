// The alarm of a guest's clock is a timer of the host's. It rings where it rang, and does not where it was still to come, also
// when a recording is replayed later than it was made, and the alarm has passed on the host.
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { Test } from 'tap';
import type { Machine } from '../../src/machine/index.js';
import { recordMachine } from '../../src/migrate/record.js';
import { replayRecording } from '../../src/migrate/replay.js';
import { consoleText } from '../system/console.js';
import { boot, generously, stage, until, type Stage } from '../system/stage.js';

/** A guest whose alarm is so many seconds ahead, and what its console says. */
async function withAlarm(t: Test, { a }: Stage, aheadSeconds: number): Promise<[Machine, (what: RegExp) => boolean]> {
  const machine = await boot(a, { workload: 'shell', memory: '128M' });
  const shows = (what: RegExp): boolean => what.test(consoleText(machine.consoleLog));
  await until('there is a prompt', () => shows(/^\/ # /m));
  const shell = createConnection(machine.paths.consoleSocket);
  t.teardown(() => shell.destroy());
  const set = `echo +${aheadSeconds} > /sys/class/rtc/rtc0/wakealarm && grep alarm_IRQ /proc/driver/rtc`;
  shell.write(`${set}; while grep -q 'alarm_IRQ.*yes' /proc/driver/rtc; do sleep 0.1; done; echo it has ru''ng\n`);
  await until('the alarm is set', () => shows(/alarm_IRQ\s+: yes/));
  return [machine, shows];
}

t.test('an alarm that has passed since', generously, async (t) => {
  const hosts = stage(t);
  const [machine] = await withAlarm(t, hosts, 8);
  const rec = join(hosts.folder, 'rec');
  const recorded = await recordMachine(machine, rec, { durationMs: 500 });
  await sleep(8_000);
  const signal = AbortSignal.timeout(60_000);
  t.match(await replayRecording(rec, { home: hosts.b, signal }), { final: true, icount: recorded.endIcount });
  await machine.stop({ graceful: false });
});

t.test('an alarm that rings while it is recorded', generously, async (t) => {
  const hosts = stage(t);
  const [machine, shows] = await withAlarm(t, hosts, 3);
  const rec = join(hosts.folder, 'rec');
  t.notOk(shows(/it has rung/));
  const recorded = await recordMachine(machine, rec, { durationMs: 8_000 });
  t.ok(shows(/it has rung/));
  const signal = AbortSignal.timeout(60_000);
  t.match(await replayRecording(rec, { home: hosts.b, signal }), { final: true, icount: recorded.endIcount });
  await machine.stop({ graceful: false });
});
