// From one real process's memory to another's: captured, shipped as chunks, restored, digests equal.

import t from 'tap';
import {
  captureImage,
  clearTarget,
  restoreChunk,
  restoreImage,
  type CaptureProgress,
  type ImageChunk,
} from '../../src/checkpoint/index.js';
import { TrmigError } from '../../src/errors.js';
import { digestBlocks, readPages } from '../../src/native/index.js';
import { startHolder, type Holder } from '../native/holder.js';

const mib = 1024 * 1024;
const page = 4096;
const source = [
  `${3 * mib + 5 * page}:text`,
  `${page}:noise`,
  `${4 * mib}:zero`,
  `${8 * mib}:sparse`,
  `${2 * mib}:noise`,
];
const dirty = source.map((block) => block.replace(/:.*/, ':noise'));

async function collect(frozen: Holder): Promise<ImageChunk[]> {
  const chunks: ImageChunk[] = [];
  for await (const chunk of captureImage(frozen)) chunks.push(chunk);
  return chunks;
}

t.test('a restored image has the digest of the captured one', async (t) => {
  const [frozen, target] = await Promise.all([startHolder(...source), startHolder(...dirty)]);
  t.teardown(() => Promise.all([frozen.end(), target.end()]));
  const reports: CaptureProgress[] = [];
  const done = await restoreImage(target, captureImage(frozen, { onProgress: (report) => reports.push(report) }));
  t.equal(await digestBlocks(target.pid, target.blocks), await digestBlocks(frozen.pid, frozen.blocks));

  const last = reports.at(-1)!;
  t.equal(last.scannedBytes, last.totalBytes);
  t.equal(last.totalBytes, 17 * mib + 6 * page);
  t.equal(last.rawBytes, 3 * mib + 5 * page + page + mib + 2 * mib);
  t.same(done, { chunks: last.chunks, rawBytes: last.rawBytes, compressedBytes: last.compressedBytes });
  t.ok(last.compressedBytes < last.rawBytes);
});

t.test('chunks come in order and none is all zero', async (t) => {
  const frozen = await startHolder(...source);
  t.teardown(() => frozen.end());
  const chunks = await collect(frozen);
  const order = chunks.map(({ block, firstPage }) => block * 2 ** 32 + firstPage);
  t.same(
    order,
    [...order].sort((a, b) => a - b),
  );
  t.notOk(chunks.some(({ block }) => block === 2));
  t.ok(chunks.every(({ pages }) => pages.length > 0));
  t.equal(chunks.filter(({ block }) => block === 0).at(-1)?.pageCount, 5);
});

t.test('chunks restored in any order give the same memory', async (t) => {
  const [frozen, target] = await Promise.all([startHolder(...source), startHolder(...dirty)]);
  t.teardown(() => Promise.all([frozen.end(), target.end()]));
  t.equal(await clearTarget(target), 17 * 256 + 6);
  await Promise.all((await collect(frozen)).reverse().map((chunk) => restoreChunk(target, chunk)));
  t.equal(await digestBlocks(target.pid, target.blocks), await digestBlocks(frozen.pid, frozen.blocks));
});

t.test('a chunk that does not fit the destination writes nothing', async (t) => {
  const [frozen, target] = await Promise.all([startHolder(`${2 * mib}:text`), startHolder(`${mib}:zero`)]);
  t.teardown(() => Promise.all([frozen.end(), target.end()]));
  const [, second] = await collect(frozen);
  await t.rejects(restoreChunk(target, second!), { code: 'E_IMAGE_MISMATCH' });
  await t.rejects(restoreChunk(target, { ...second!, block: 1 }), { code: 'E_IMAGE_MISMATCH' });
});

t.test('a chunk whose bytes, place or pages were changed is refused and writes nothing', async (t) => {
  const [frozen, target] = await Promise.all([startHolder(`${mib}:sparse`), startHolder(`${4 * mib}:zero`)]);
  t.teardown(() => Promise.all([frozen.end(), target.end()]));
  const [good] = await collect(frozen);
  const flipped = Buffer.from(good!.compressed);
  flipped[flipped.length >> 1]! ^= 4;
  const bad: Partial<ImageChunk>[] = [
    { compressed: flipped },
    { compressed: good!.compressed.subarray(1) },
    { compressed: Buffer.alloc(0) },
    { compressed: Buffer.alloc(2 * mib) },
    { firstPage: 256 },
    { firstPage: -1 },
    { pageCount: 255 },
    { pageCount: 0 },
    { pageCount: 4096 },
    { pages: good!.pages.map((p) => p + 1) },
    { pages: good!.pages.slice(1) },
    { pages: Uint32Array.of(0, 0), rawBytes: 2 * page },
    { pages: Uint32Array.of(), rawBytes: 0 },
    { rawBytes: 1 },
    { block: 1e9 },
    { checksum: good!.checksum ^ 1n },
  ];
  for (const change of bad) {
    await t.rejects(
      restoreChunk(target, { ...good!, ...change }),
      { code: 'E_IMAGE_DAMAGED' },
      Object.keys(change)[0]!,
    );
  }
  t.equal((await readPages(target.pid, target.blocks[0]!.address, 4 * mib, page)).pages.length, 0);
  await restoreChunk(target, good!);
  t.equal((await readPages(target.pid, target.blocks[0]!.address, 4 * mib, page)).pages.length, 32);
});

t.test('an image that vanishes in mid-capture is one clear error', async (t) => {
  const frozen = await startHolder(`${32 * mib}:text`);
  const capture = captureImage(frozen);
  await capture.next();
  await frozen.end();
  const error = await (async () => {
    while ((await capture.next()).done !== true) continue;
  })().catch((thrown: unknown) => thrown);
  t.ok(error instanceof TrmigError);
  t.match(error, { code: 'E_IMAGE_READ', message: /frozen image \(process \d+\) has gone/ });
});

t.test('a destination that vanishes is one clear error', async (t) => {
  const [frozen, target] = await Promise.all([startHolder(`${mib}:text`), startHolder(`${mib}:zero`)]);
  t.teardown(() => frozen.end());
  await target.end();
  await t.rejects(restoreImage(target, captureImage(frozen)), { code: 'E_IMAGE_WRITE', message: /destination's QEMU/ });
});

t.test('a capture is cancelled before, between and while the consumer waits', async (t) => {
  const frozen = await startHolder(`${8 * mib}:text`);
  t.teardown(() => frozen.end());
  await t.rejects(captureImage(frozen, { signal: AbortSignal.abort() }).next(), { code: 'E_ABORTED' });
  const cancel = new AbortController();
  const capture = captureImage(frozen, { signal: cancel.signal });
  await capture.next();
  cancel.abort();
  await t.rejects(capture.next(), { code: 'E_ABORTED' });
  t.same(await capture.next(), { value: undefined, done: true });
  await t.rejects(clearTarget(frozen, { signal: AbortSignal.abort() }), { code: 'E_ABORTED' });
  const reason = new TrmigError('E_IMAGE_MISMATCH', 'the caller knows better');
  await t.rejects(captureImage(frozen, { signal: AbortSignal.abort(reason) }).next(), { code: 'E_IMAGE_MISMATCH' });
});

t.test('blocks that cannot be RAM are refused before anything is read', async (t) => {
  const capture = (bytes: number) => captureImage({ pid: 1, blocks: [{ name: 'ram', address: page, bytes }] }).next();
  await t.rejects(capture(page + 1), { code: 'E_IMAGE_MISMATCH' });
  await t.rejects(capture(0), { code: 'E_IMAGE_MISMATCH' });
  await t.rejects(capture(2 ** 52), { code: 'E_IMAGE_MISMATCH' });
  await t.rejects(captureImage({ pid: 1, blocks: [] }).next(), { code: 'E_IMAGE_MISMATCH' });
});

t.test('a slow consumer does not let memory grow', async (t) => {
  const frozen = await startHolder(`${256 * mib}:noise`);
  t.teardown(() => frozen.end());
  const before = process.memoryUsage().rss;
  let peak = before;
  let chunks = 0;
  for await (const chunk of captureImage(frozen)) {
    chunks += chunk.pages.length > 0 ? 1 : 0;
    if (chunks % 16 === 0) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      peak = Math.max(peak, process.memoryUsage().rss);
    }
  }
  t.equal(chunks, 256);
  t.ok(peak - before < 150 * mib, `grew by ${Math.round((peak - before) / mib)} MiB`);
});
