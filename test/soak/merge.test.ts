// What layers cost the guest that runs on them. Merging: 600 MB go into the lowest layer of a disk while a client talks to the
// guest 200 times a second; its longest round trip is what the guest's users see. Keeping the newest ones: a guest that writes as
// fast as its disk takes it, on a short chain and on a long one in turn.
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { findQemuImg, finishFlatten, prepareOverlays, snapshot, startFlatten } from '../../src/disk/index.js';
import { recentLayers } from '../../src/limits.js';
import { QmpClient, findQemu, readDisks, type MachinePaths } from '../../src/machine/index.js';
import { consoleText } from '../system/console.js';
import { Lan, mib, withoutLan } from '../system/lan.js';
import { generously, sleep } from '../system/stage.js';

t.setTimeout(generously.timeout);
const stallMsMax = 20;
const baselineMs = 20_000;
const windowMs = 10_000;

interface Guest {
  readonly lan: Lan;
  readonly qmp: QmpClient;
  readonly paths: MachinePaths;
  /** Puts an empty layer on each disk, as a checkpoint does. */
  freeze(): Promise<void>;
}

async function guest(t: Test, options: { diskRate?: number; moreDisks?: readonly object[] }): Promise<Guest> {
  const lan = await Lan.make(t, { arch: 'x86_64', nics: 1, diskMib: 192, ...options });
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
  return { lan, qmp, paths, freeze };
}

t.test('a merge does not hold the guest up', { skip: withoutLan }, async (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'trmig-merge-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'big.raw');
  writeFileSync(file, '');
  truncateSync(file, 1024 * mib);
  const { lan, qmp, paths, freeze } = await guest(t, { moreDisks: [{ file, format: 'raw' }] });
  await freeze();
  for (let i = 0; i < 600; i += 20) {
    const line = `qemu-io -d /machine/peripheral/disk1-device/virtio-backend "write -P ${i + 1} ${i}M 20M"`;
    await qmp.execute('human-monitor-command', { 'command-line': line });
  }
  await freeze();

  const before = await lan.connect();
  await sleep(baselineMs);
  const without = await before.end();
  t.comment(`without: ${JSON.stringify(without)}`);
  const during = await lan.connect();
  const begunMs = performance.now();
  t.equal(await startFlatten({ qmp, paths, recent: 0 }), 2);
  const { merged } = await finishFlatten(qmp, paths);
  const tookMs = performance.now() - begunMs;
  const seen = await during.end();
  t.comment(`during ${(tookMs / 1000).toFixed(1)} s of merging: ${JSON.stringify(seen)}`);
  t.equal(merged.length, 2);
  t.ok(
    seen.longestMs < without.longestMs + stallMsMax,
    `the longest round trip ${seen.longestMs.toFixed(1)} ms, without a merge ${without.longestMs.toFixed(1)} ms`,
  );
});

t.test('a long chain costs a writing guest little', { skip: withoutLan }, async (t) => {
  const { qmp, paths, freeze } = await guest(t, { diskRate: 0 });
  const records = (): number => Number(/.*records=(\d+)/s.exec(consoleText(paths.consoleLog))![1]);
  const rate = async (): Promise<number> => {
    await sleep(2_000);
    const before = records();
    await sleep(windowMs);
    return ((records() - before) * 1000) / windowMs;
  };
  const rates: { short: number[]; long: number[] } = { short: [], long: [] };
  for (let round = 0; round < 3; round++) {
    await freeze();
    rates.short.push(await rate());
    for (let i = 0; i < 2 * recentLayers; i++) await freeze();
    rates.long.push(await rate());
    await startFlatten({ qmp, paths, recent: 0 });
    await finishFlatten(qmp, paths);
  }
  const middle = (of: number[]): number => [...of].sort((x, y) => x - y)[of.length >> 1]!;
  const share = 1 - middle(rates.long) / middle(rates.short);
  t.comment(`records a second: ${JSON.stringify(rates)}; the long chain costs ${(share * 100).toFixed(1)} %`);
  t.ok(share < 0.2);
});
