// A guest is recorded again and again while datagrams come in bursts, so that checkpoints fall between an interrupt and the end
// of the guest's polling. Each recording replays: the copy's virtqueues interrupt it as the recorded guest's did.
// TRMIG_RECORDINGS says how many (60).
import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { Lan, withoutLan } from '../system/lan.js';
import { generously } from '../system/stage.js';

const recordings = Number(process.env['TRMIG_RECORDINGS'] ?? 60);
const replayMsMax = 60_000;
t.setTimeout(generously.timeout * 10);

for (const arch of ['aarch64', 'x86_64'] as const) {
  t.test(
    `recordings of an ${arch} guest under a load of packets`,
    { timeout: generously.timeout * 5, skip: withoutLan },
    async (t) => {
      const lan = await Lan.make(t, { arch, nics: 1, diskMib: 48 });
      await lan.boot();
      lan.bombard();
      const { cli, home } = lan.a;
      const recording = `${home.root}/rec`;
      let replayed = 0;
      for (let i = 0; i < recordings; i++) {
        await cli.run(['checkpoint', 'm', '--to', recording, '--for', '50ms']);
        const inTime = cli.run(['replay', recording]).then(() => true);
        if (!(await Promise.race([inTime, sleep(replayMsMax, false, { ref: false })]))) break;
        rmSync(recording, { recursive: true });
        replayed++;
      }
      t.equal(replayed, recordings);
      await lan.end(lan.a);
    },
  );
}
