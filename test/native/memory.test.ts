// Reading, writing, clearing and digesting another process's memory: with a real process, alive and dead.

import t from 'tap';
import { TrmigError } from '../../src/errors.js';
import { clearPages, digestBlocks, readPages, writePages, xxh128, xxh3 } from '../../src/native/index.js';
import { startHolder } from './holder.js';

const page = 4096;
const mib = 1024 * 1024;

t.test('digests are the published values of XXH3', async (t) => {
  t.equal(xxh3(Buffer.alloc(0)), 0x2d06800538d394c2n);
  t.equal(xxh128(Buffer.alloc(0)), '99aa06d3014798d86001c324468d497f');
  t.throws(() => xxh3('text' as unknown as Uint8Array), { code: 'E_INTERNAL' });
});

t.test('pages that are zero are left out and the others come in order', async (t) => {
  const holder = await startHolder(`${mib}:sparse`);
  t.teardown(() => holder.end());
  const { address, bytes } = holder.blocks[0]!;
  const read = await readPages(holder.pid, address, bytes, page);
  t.same(
    [...read.pages],
    Array.from({ length: 32 }, (_, i) => i * 8),
  );
  t.equal(read.zeroPages, 256 - 32);
  t.equal(read.data.length, 32 * page);
  const third = await readPages(holder.pid, address + 16 * page, page, page);
  t.ok(third.data.equals(read.data.subarray(2 * page, 3 * page)));
  const nothing = await readPages(holder.pid, address + page, 7 * page, page);
  t.equal(nothing.data.length, 0);
  t.equal(nothing.zeroPages, 7);
});

t.test('a read longer than one system call is whole', async (t) => {
  const holder = await startHolder(`${5 * mib}:noise`);
  t.teardown(() => holder.end());
  const { address, bytes } = holder.blocks[0]!;
  const { data, pages } = await readPages(holder.pid, address, bytes, page);
  t.equal(pages.length, bytes / page);
  t.equal(xxh128(data), await digestBlocks(holder.pid, holder.blocks));
});

t.test('scattered pages arrive where they belong, even more than one call can take', async (t) => {
  const holder = await startHolder(`${16 * mib}:zero`);
  t.teardown(() => holder.end());
  const { address, bytes } = holder.blocks[0]!;
  const pages = Uint32Array.from({ length: 2000 }, (_, i) => (i < 1000 ? i * 3 : 2000 + i));
  const data = Buffer.alloc(pages.length * page);
  for (let i = 0; i < pages.length; i++) data.fill((i % 255) + 1, i * page, (i + 1) * page);
  await writePages(holder.pid, address, page, pages, data);
  const read = await readPages(holder.pid, address, bytes, page);
  t.same(read.pages, pages);
  t.ok(read.data.equals(data));
  t.equal(await clearPages(holder.pid, address, bytes), 2000);
  t.equal((await readPages(holder.pid, address, bytes, page)).pages.length, 0);
  t.equal(await clearPages(holder.pid, address, bytes), 0);
});

t.test('the digest of blocks is that of their bytes as one stream', async (t) => {
  const holder = await startHolder(`${2 * mib + page}:noise`, `${3 * page}:text`, `${mib}:zero`);
  t.teardown(() => holder.end());
  const all: Buffer[] = [];
  for (const { address, bytes } of holder.blocks) {
    const { pages, data } = await readPages(holder.pid, address, bytes, page);
    const block = Buffer.alloc(bytes);
    pages.forEach((at, i) => data.copy(block, at * page, i * page, (i + 1) * page));
    all.push(block);
  }
  t.equal(await digestBlocks(holder.pid, holder.blocks), xxh128(Buffer.concat(all)));
  const swapped = [...holder.blocks].reverse();
  t.not(await digestBlocks(holder.pid, swapped), xxh128(Buffer.concat(all)));
});

t.test('a hole in the address range is an error, not a short read', async (t) => {
  const holder = await startHolder(`${2 * mib}:hole`);
  t.teardown(() => holder.end());
  const { address, bytes } = holder.blocks[0]!;
  await t.rejects(readPages(holder.pid, address, bytes, page), {
    code: 'E_IMAGE_READ',
    message: /has no memory at 0x/,
  });
  await t.rejects(digestBlocks(holder.pid, holder.blocks), { code: 'E_IMAGE_READ' });
  const data = Buffer.alloc(2 * page);
  await t.rejects(writePages(holder.pid, address + mib - page, page, Uint32Array.of(0, 1), data), {
    code: 'E_IMAGE_WRITE',
  });
});

t.test('a process that has gone is named', async (t) => {
  const holder = await startHolder(`${mib}:text`);
  await holder.end();
  const { address, bytes } = holder.blocks[0]!;
  const error = await readPages(holder.pid, address, bytes, page).catch((thrown: unknown) => thrown);
  t.ok(error instanceof TrmigError);
  t.match(error, { code: 'E_IMAGE_READ', message: `process ${holder.pid}) has gone`, facts: { errno: 3 } });
  await t.rejects(writePages(holder.pid, address, page, Uint32Array.of(0), Buffer.alloc(page)), {
    code: 'E_IMAGE_WRITE',
  });
  await t.rejects(clearPages(holder.pid, address, page), { code: 'E_IMAGE_WRITE' });
});

t.test('wrong arguments never reach a system call', async (t) => {
  const refused = { code: 'E_INTERNAL' };
  await t.rejects(readPages(0, page, page, page), refused);
  await t.rejects(readPages(1.5, page, page, page), refused);
  await t.rejects(readPages(process.pid, -page, page, page), refused);
  await t.rejects(readPages(process.pid, page, page + 1, page), refused);
  await t.rejects(readPages(process.pid, page, 1024 * mib, page), refused);
  await t.rejects(readPages(process.pid, page, page, 3000), refused);
  await t.rejects(writePages(process.pid, page, page, Uint32Array.of(1, 1), Buffer.alloc(2 * page)), refused);
  await t.rejects(writePages(process.pid, page, page, Uint32Array.of(1), Buffer.alloc(page - 1)), refused);
  await t.rejects(clearPages(process.pid, page, 5), refused);
  await t.rejects(digestBlocks(process.pid, [{ address: NaN, bytes: 1 }]), refused);
});

t.test('the main thread goes on while memory is digested', async (t) => {
  const holder = await startHolder(`${64 * mib}:text`);
  t.teardown(() => holder.end());
  let turns = 0;
  let done = false;
  const digest = digestBlocks(
    holder.pid,
    Array.from({ length: 8 }, () => holder.blocks[0]!),
  ).then(() => (done = true));
  while (!done) {
    turns++;
    await new Promise((resolve) => setImmediate(resolve));
  }
  await digest;
  t.ok(turns > 10, `${turns} turns of the event loop`);
});

t.test('buffers handed to a worker survive a garbage collection', async (t) => {
  const holder = await startHolder(`${4 * mib}:zero`);
  t.teardown(() => holder.end());
  const { address } = holder.blocks[0]!;
  const writes = Array.from({ length: 64 }, (_, i) =>
    writePages(holder.pid, address + i * page, page, Uint32Array.of(0), Buffer.alloc(page, i + 1)),
  );
  for (let i = 0; i < 50; i++) Buffer.alloc(mib, i);
  await Promise.all(writes);
  const { data } = await readPages(holder.pid, address, 64 * page, page);
  for (let i = 0; i < 64; i++) t.equal(data[i * page], i + 1);
});
