// Merging layers in the background: 600 MB go into the lowest layer of a disk while a client talks to the guest 200 times a
// second. What the guest's users see of it is the client's longest round trip, beside that without a merge.
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import t from 'tap';
import { findQemuImg, finishFlatten, prepareOverlays, snapshot, startFlatten } from '../../src/disk/index.js';
import { QmpClient, findQemu, readDisks } from '../../src/machine/index.js';
import { Lan, mib, withoutLan } from '../system/lan.js';
import { generously, sleep } from '../system/stage.js';

t.setTimeout(generously.timeout);
const stallMsMax = 20;
const baseline = 20_000;

t.test('a merge does not hold the guest up', { skip: withoutLan }, async (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'trmig-merge-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'big.raw');
  writeFileSync(file, '');
  truncateSync(file, 1024 * mib);
  const lan = await Lan.make(t, {
    arch: 'x86_64',
    nics: 1,
    diskMib: 192,
    moreDisks: [{ file, format: 'raw' }],
  });
  await lan.boot();
  const paths = lan.a.home.machine('m');
  const qmp = await QmpClient.connect(paths.qmpSocket);
  t.teardown(() => qmp.close());
  const qemuImg = await findQemuImg(await findQemu({ arch: 'x86_64', qemu: { version: '10.0' } }));

  const freeze = async (): Promise<void> => {
    const plan = await prepareOverlays({ qmp, paths, disks: (await readDisks(paths))!, qemuImg });
    await qmp.execute('stop');
    await snapshot(qmp, plan);
    await qmp.execute('cont');
  };
  await freeze();
  for (let i = 0; i < 600; i += 20) {
    const line = `qemu-io -d /machine/peripheral/disk1-device/virtio-backend "write -P ${i + 1} ${i}M 20M"`;
    await qmp.execute('human-monitor-command', { 'command-line': line });
  }
  await freeze();

  const before = await lan.connect();
  await sleep(baseline);
  const without = await before.end();
  t.comment(`without: ${JSON.stringify(without)}`);
  const during = await lan.connect();
  const begun = performance.now();
  t.equal(await startFlatten({ qmp, paths, recent: 0 }), 2);
  const { merged } = await finishFlatten(qmp, paths);
  const tookMs = performance.now() - begun;
  const seen = await during.end();
  t.comment(`during ${(tookMs / 1000).toFixed(1)} s of merging: ${JSON.stringify(seen)}`);
  t.equal(merged.length, 2);
  t.ok(
    seen.longestMs < without.longestMs + stallMsMax,
    `the longest round trip ${seen.longestMs.toFixed(1)} ms, without a merge ${without.longestMs.toFixed(1)} ms`,
  );
});
