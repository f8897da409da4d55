// A layer's file from one host to another: chunks, digests, and everything that a stranger could send instead.
import { existsSync, readFileSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { checkLayerChunk, ChunkDigests, type LayerChunk } from '../../src/disk/layer-chunk.js';
import { digestLayer, LayerReader, type LayerProgress } from '../../src/disk/layer-reader.js';
import { checkReceivedLayer, LayerWriter } from '../../src/disk/layer-writer.js';
import { runQemuImg } from '../../src/disk/qemu-img.js';
import { decodeChunk, encodeChunk } from '../../src/checkpoint/index.js';
import { TrmigError } from '../../src/errors.js';
import { digestFile } from '../../src/log/file-digest.js';
import { temporaryFolder } from '../machine/fake-peer.js';
import { seeded } from '../machine/random.js';
import { idOf, mib, qemuImg } from './stage.js';

const seed = Number(process.env['TRMIG_SEED'] ?? 1);

/** A sparse file of `bytes` with data at these places. */
async function sparse(file: string, bytes: number, pieces: readonly (readonly [number, number])[]): Promise<void> {
  const handle = await open(file, 'w');
  try {
    await handle.truncate(bytes);
    const random = seeded(seed);
    for (const [at, length] of pieces) {
      const data = Buffer.from(Array.from({ length }, () => Math.floor(random() * 4)));
      await handle.write(data, 0, length, at);
    }
  } finally {
    await handle.close();
  }
}

async function readAll(file: string, layer = 0): Promise<{ reader: LayerReader; chunks: LayerChunk[] }> {
  const reader = await LayerReader.open({ file });
  const chunks: LayerChunk[] = [];
  for await (const chunk of reader.chunks({ layer })) chunks.push(chunk);
  await reader.close();
  return { reader, chunks };
}

const codeOf = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'none',
    (error: unknown) => (error instanceof TrmigError ? error.code : String(error)),
  );

t.test('a layer comes over as it is, holes as holes', async (t) => {
  const folder = temporaryFolder(t);
  const shapes: [string, number, [number, number][]][] = [
    ['empty', 0, []],
    ['one byte', 1, [[0, 1]]],
    ['a hole', 5 * mib, []],
    ['a page and a bit', 4097, [[4096, 1]]],
    ['data at both ends', 9 * mib + 513, [[0, 10_000], [9 * mib + 500, 13]]],
    ['across chunks', 4 * mib, [[mib - 5, 10], [2 * mib - 1, mib + 2]]],
  ]; // prettier-ignore
  for (const [name, bytes, pieces] of shapes) {
    const from = path.join(folder, 'from');
    await sparse(from, bytes, pieces);
    const { reader, chunks } = await readAll(from, 7);
    t.match(reader.frozen, await digestFile(from), `${name}: the digest needs no second reading`);
    const layer = { id: idOf(1), file: path.join(folder, name, 'to'), format: 'raw' as const };
    const writer = await LayerWriter.create(layer, reader.bytes);
    // In any order, some at a time.
    await Promise.all(chunks.reverse().map((chunk) => writer.write(chunk)));
    const written = await writer.finish(reader.frozen, Math.ceil(bytes / 512) * 512);
    t.equal(written.digest, reader.frozen.digest, name);
    t.ok(readFileSync(layer.file).equals(readFileSync(from)), `${name}: the same bytes`);
    t.ok(statSync(layer.file).blocks <= statSync(from).blocks + 8, `${name}: as sparse`);
    t.notOk(existsSync(`${layer.file}.partial`));
  }
});

t.test("a layer's chunk is a RAM image's chunk, so one frame and one file format carry both", async (t) => {
  const file = path.join(temporaryFolder(t), 'from');
  await sparse(file, 2 * mib, [[5000, 9000]]);
  const { chunks } = await readAll(file, 3);
  for (const { layer, ...chunk } of chunks) {
    const decoded = decodeChunk(encodeChunk({ ...chunk, block: layer }));
    t.same(decoded, { ...chunk, block: 3 });
  }
  t.equal(chunks.length, 1);
});

t.test('written zeros are left out, and only what holds data is read', async (t) => {
  const file = path.join(temporaryFolder(t), 'from');
  await sparse(file, 64 * mib, []);
  const handle = await open(file, 'r+');
  await handle.write(Buffer.alloc(3 * mib), 0, 3 * mib, 10 * mib);
  await handle.sync();
  await handle.close();
  const reader = await LayerReader.open({ file });
  t.equal(await reader.dataBytes(), 3 * mib);
  const progress: LayerProgress[] = [];
  for await (const _ of reader.chunks({ layer: 0, onProgress: (now) => progress.push(now) }))
    t.fail('a chunk of zeros');
  t.ok(progress.length <= 4, 'holes are not looked at');
  t.match(progress.at(-1), { scannedBytes: 64 * mib, totalBytes: 64 * mib, chunks: 0 });
  await reader.close();
});

t.test('whoever is slow bounds what is read ahead', async (t) => {
  const file = path.join(temporaryFolder(t), 'from');
  await sparse(
    file,
    12 * mib,
    Array.from({ length: 12 }, (_, i): [number, number] => [i * mib, 100]),
  );
  const reader = await LayerReader.open({ file });
  let read = 0;
  const stream = reader.chunks({ layer: 0, concurrency: 3, onProgress: () => read++ });
  await stream.next();
  await new Promise((resolve) => setTimeout(resolve, 100));
  t.equal(read, 1, 'the others wait for their turn');
  await stream.return();
  await reader.close();
  t.throws(() => reader.frozen, { code: 'E_INTERNAL' });
});

t.test('a reading is cancelled, and one of a layer that changes is refused', async (t) => {
  const file = path.join(temporaryFolder(t), 'from');
  await sparse(file, 4 * mib, [[0, 100], [mib, 100], [2 * mib, 100]]); // prettier-ignore
  const stop = new AbortController();
  const cancelled = await LayerReader.open({ file });
  const stream = cancelled.chunks({ layer: 0, signal: stop.signal });
  await stream.next();
  stop.abort();
  t.equal(await codeOf(stream.next()), 'E_ABORTED');
  await cancelled.close();

  const shrunk = await LayerReader.open({ file });
  truncateSync(file, mib);
  const more = shrunk.chunks({ layer: 0, concurrency: 1 });
  t.equal(await codeOf((async () => { for await (const _ of more); })()), 'E_LAYER_DAMAGED'); // prettier-ignore
  await shrunk.close();

  const touched = await LayerReader.open({ file });
  utimesSync(file, new Date(), new Date(1000));
  const last = touched.chunks({ layer: 0 });
  t.equal(await codeOf((async () => { for await (const _ of last); })()), 'E_LAYER_DAMAGED'); // prettier-ignore
  await touched.close();
  t.equal(await codeOf(digestLayer({ file: `${file}.not` })), 'E_FILE_ACCESS');
});

async function raw(
  t: Test,
  bytes: number,
): Promise<{ chunks: LayerChunk[]; writer: LayerWriter; reader: LayerReader; to: string }> {
  const folder = temporaryFolder(t);
  const from = path.join(folder, 'from');
  await sparse(from, bytes, [[0, 20_000], [mib, 5000]]); // prettier-ignore
  const { chunks, reader } = await readAll(from);
  const to = path.join(folder, 'to');
  const writer = await LayerWriter.create({ id: idOf(1), file: to, format: 'raw' }, bytes);
  t.teardown(() => writer.discard());
  return { chunks, writer, reader, to };
}

t.test('what is not what was promised gets no name', async (t) => {
  const { chunks, writer, reader, to } = await raw(t, 3 * mib);
  const damaged = { ...chunks[0]!, compressed: Buffer.from(chunks[0]!.compressed) };
  damaged.compressed[5]! ^= 1;
  t.equal(await codeOf(writer.write(damaged)), 'E_LAYER_DAMAGED');
  await writer.discard();
  t.notOk(existsSync(`${to}.partial`));

  const layer = { id: idOf(1), file: to, format: 'raw' as const };
  writeFileSync(`${to}.partial`, 'left by a kill');
  const second = await LayerWriter.create(layer, 3 * mib);
  await second.write(chunks[0]!);
  t.equal(await codeOf(second.write(chunks[0]!)), 'E_LAYER_DAMAGED', 'twice');
  t.equal(await codeOf(second.finish(reader.frozen, 3 * mib)), 'E_LAYER_DAMAGED', 'a chunk is missing');
  await second.discard();

  const third = await LayerWriter.create(layer, 3 * mib);
  for (const chunk of chunks) await third.write(chunk);
  t.equal(await codeOf(third.finish(reader.frozen, 4 * mib)), 'E_LAYER_REFUSED', 'the disk is larger');
  await third.discard();
  t.notOk(existsSync(to));
  t.equal(await codeOf(LayerWriter.create(layer, -1)), 'E_LAYER_REFUSED');
  t.equal(await codeOf(LayerWriter.create(layer, 2 ** 60)), 'E_LAYER_REFUSED');
});

t.test('any chunk is written or refused (2000 seeds)', async (t) => {
  const { chunks } = await raw(t, 2 * mib + 700);
  const folder = temporaryFolder(t);
  const odd = [0, 1, 255, 256, 257, 512, 513, 768, -256, 0.5, 2 ** 40, 2 ** 53, NaN];
  const layer = { id: idOf(1), file: path.join(folder, 'to'), format: 'raw' as const };
  const writer = await LayerWriter.create(layer, 2 * mib + 700);
  let refused = 0;
  for (let at = seed; at < seed + 2000; at++) {
    const random = seeded(at);
    const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)]!;
    const chunk = { ...pick(chunks) } as { -readonly [K in keyof LayerChunk]: LayerChunk[K] };
    if (random() < 0.4) chunk.firstPage = pick(odd);
    if (random() < 0.3) chunk.pageCount = pick(odd);
    if (random() < 0.3) chunk.rawBytes = pick(odd) * 4096;
    if (random() < 0.3)
      chunk.pages = Uint32Array.from(
        Array.from({ length: pick([0, 1, 3, 300]) }, () => pick([0, 1, 5, 255, 256, 2 ** 31])),
      );
    if (random() < 0.3) chunk.compressed = Buffer.from(chunk.compressed.subarray(pick([0, 1, 9]), pick([1, 9, 4000])));
    if (random() < 0.2) chunk.checksum ^= 1n << BigInt(Math.floor(random() * 64));
    if (random() < 0.2) chunk.layer = pick([0, 1, 2 ** 32 - 1]);
    const code = await codeOf(writer.write(chunk));
    if (code !== 'none') refused++;
    if (!['none', 'E_LAYER_DAMAGED'].includes(code)) t.fail(`seed ${at}: ${code}`);
  }
  t.ok(refused > 1900, `${refused} were refused`);
  t.equal(statSync(`${layer.file}.partial`).size, 2 * mib + 700, 'nothing grew the file');
  await writer.discard();
});

t.test('an image that names a file of this host is refused', async (t) => {
  const folder = temporaryFolder(t);
  const file = path.join(folder, 'x.qcow2');
  const layer = { id: idOf(1), file, format: 'qcow2' as const };
  const create = (...more: string[]): Promise<string> =>
    runQemuImg(qemuImg, ['create', '-q', '-f', 'qcow2', ...more, file, '4M']);
  await create();
  await t.resolves(checkReceivedLayer(layer, 4 * mib));
  await t.rejects(checkReceivedLayer(layer, 8 * mib), { code: 'E_LAYER_REFUSED', message: /has 4194304 bytes, not/ });
  await create('-b', '/etc/passwd', '-F', 'raw', '-u');
  await t.rejects(checkReceivedLayer(layer, 4 * mib), {
    code: 'E_LAYER_REFUSED',
    message: /backing file, '\/etc\/passwd'/,
  });
  await create('-o', `data_file=${path.join(folder, 'data')},data_file_raw=on`);
  await t.rejects(checkReceivedLayer(layer, 4 * mib), { code: 'E_LAYER_REFUSED', message: /names a data file/ });
  await runQemuImg(qemuImg, ['create', '-q', '-f', 'qcow2', '--object', 'secret,id=s,data=x', '-o', 'encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10', file, '4M']); // prettier-ignore
  await t.rejects(checkReceivedLayer(layer, 4 * mib), { code: 'E_LAYER_REFUSED', message: /encrypted/ });
  writeFileSync(file, 'raw bytes');
  await t.rejects(checkReceivedLayer(layer, 4 * mib), { code: 'E_LAYER_REFUSED', message: /not a qcow2 file/ });
  t.equal(await codeOf(checkReceivedLayer({ ...layer, file: `${file}.not` }, 1)), 'E_FILE_ACCESS');
});

t.test('a chunk is checked against the size that was promised', (t) => {
  const chunk = { layer: 0, firstPage: 256, pageCount: 1, pages: Uint32Array.of(0), compressed: Buffer.alloc(9), rawBytes: 4096, checksum: 0n }; // prettier-ignore
  t.doesNotThrow(() => checkLayerChunk(chunk, mib + 1, 'it'));
  t.throws(() => checkLayerChunk(chunk, mib, 'it'), { code: 'E_LAYER_DAMAGED', message: /has no chunk at page 256/ });
  t.throws(() => checkLayerChunk(chunk, mib + 4097, 'it'), { message: /has 2 pages, not 1/ });
  t.throws(() => new ChunkDigests(1.5), { code: 'E_LAYER_REFUSED' });
  t.end();
});
