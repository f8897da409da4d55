// Recordings: written, read back, followed while they grow, and left usable by whatever ends their writer.
import { mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync, appendFileSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { digestLog } from '../../src/log/log-digest.js';
import { RecordingReader } from '../../src/log/recording-reader.js';
import { verifyRecording } from '../../src/log/recording-verify.js';
import { RecordingWriter, type WriterOptions } from '../../src/log/recording-writer.js';
import { sealSegment } from '../../src/log/segment.js';
import { icount } from '../../src/units.js';
import { collect, facts, folder, randomLog, refusalOf, seeded } from './support.js';

async function write(dir: string, segments: ReturnType<typeof randomLog>, options: WriterOptions = {}): Promise<void> {
  const writer = await RecordingWriter.create(dir, facts, options);
  for (const segment of segments) await writer.append(segment);
  await writer.complete('the test was done');
}

t.test('a recording reads back as it was written, over many files', async (t) => {
  const dir = folder(t);
  const segments = randomLog(seeded(t), 60);
  await write(dir, segments, { fileBytes: 5000 });
  const reader = await RecordingReader.open(dir);
  t.same(reader.manifest, {
    ...facts,
    parts: [],
    quirks: 0n,
    status: 'complete',
    reason: 'the test was done',
    segments: 60,
    endIcount: segments.at(-1)!.to,
    digests: null,
  });
  t.same(await collect(reader.segments()), segments);
  const files = readdirSync(join(dir, 'log'));
  t.ok(files.length > 3);
  t.notOk(
    files.find((file) => file.includes('partial')),
    'nothing partial is left',
  );
  t.same(await verifyRecording(dir), {
    problems: [],
    segments: 60,
    bytes: files.reduce((sum, file) => sum + statSync(join(dir, 'log', file)).size, 0),
  });
});

t.test('reading may start at any segment, and opens no file before it', async (t) => {
  const dir = folder(t);
  const segments = randomLog(seeded(t), 40);
  await write(dir, segments, { fileBytes: 3000 });
  writeFileSync(join(dir, 'log', '0000000000.seg'), 'not read at all');
  const reader = await RecordingReader.open(dir);
  for (const from of [20, 33, 39, 40, 1000]) {
    t.same(await collect(reader.segments({ from })), segments.slice(from), `from ${from}`);
  }
  const seqs = (await collect(reader.headers({ from: 38 }))).map(({ header }) => header.seq);
  t.same(seqs, [38, 39], 'headers too');
});

t.test('a follower gets each segment while the recording grows, and ends with it', async (t) => {
  const dir = folder(t);
  const segments = randomLog(seeded(t), 50);
  const writer = await RecordingWriter.create(dir, facts, { fileBytes: 4000 });
  const reader = await RecordingReader.open(dir);
  let seen = 0;
  const following = (async () => {
    const all = [];
    for await (const segment of reader.segments({ follow: true, pollMs: 1 })) {
      all.push(segment);
      seen = all.length;
    }
    return all;
  })();
  for (const [index, segment] of segments.slice(0, -1).entries()) {
    await writer.append(segment);
    if (index % 10 === 5) {
      for (let tries = 0; tries < 400 && seen <= index; tries++) await delay(5);
      t.equal(seen, index + 1, 'what was appended has been seen');
    }
  }
  await writer.complete('cut short');
  t.same(await following, segments.slice(0, -1));
  t.equal(reader.manifest.status, 'complete');
});

/** Two legs: what a second host recorded follows the first one's final segment. */
function twoLegs(random: ReturnType<typeof seeded>): { legs: ReturnType<typeof randomLog>; first: number } {
  const [one, two] = [randomLog(random, 5), randomLog(random, 4)];
  const { to } = one.at(-1)!;
  const behind = two.map(({ seq, from, payload, ...rest }) =>
    sealSegment({ ...rest, seq: seq + one.length, from: icount(from + to), payload }),
  );
  return { legs: [...one, ...behind], first: one.length };
}

t.test('a recording is gone on with, behind its final segment, and is one again', async (t) => {
  const dir = folder(t);
  const { legs, first } = twoLegs(seeded(t));
  const digests = { registers: '4e6', devices: 'de', ram: '00ff' };
  const writer = await RecordingWriter.create(dir, facts);
  for (const segment of legs.slice(0, first)) await writer.append(segment);
  await writer.complete('given-up', digests);
  const before = await RecordingReader.open(dir);
  t.match(before.manifest, { status: 'complete', segments: first, digests });

  const next = await RecordingWriter.resume(dir);
  t.same([next.segments, next.end], [first, legs[first - 1]!.to]);
  t.same((await RecordingReader.open(dir)).manifest, before.manifest, 'nothing has changed yet');
  await next.reopen();
  t.equal((await RecordingReader.open(dir)).manifest.status, 'recording');
  const following = RecordingReader.open(dir).then((reader) => collect(reader.segments({ follow: true, pollMs: 1 })));
  await delay(20);
  t.equal((await refusalOf(() => next.append(legs[0]!)))?.code, 'E_LOG_SEGMENT', 'what is there is not written again');
  for (const segment of legs.slice(first)) await next.append(segment);
  await next.complete('duration');
  t.same(await following, legs, 'a follower is not held up by a final segment');
  const reader = await RecordingReader.open(dir);
  t.same(await collect(reader.segments()), legs);
  t.match(reader.manifest, { status: 'complete', reason: 'duration', segments: legs.length, digests: null });
  t.same((await verifyRecording(dir)).problems, []);
  t.same(await collect(before.segments()), legs.slice(0, first), 'who has opened it before reads what it was');
});

t.test('a recording whose writer died is gone on with behind its last whole segment', async (t) => {
  const random = seeded(t);
  const { legs } = twoLegs(random);
  for (const torn of [0, 1, 7]) {
    const dir = folder(t);
    const writer = await RecordingWriter.create(dir, facts);
    for (const segment of legs.slice(0, 3)) await writer.append(segment);
    await writer.abort();
    const path = join(dir, 'log', '0000000000.seg.partial');
    if (torn > 0) truncateSync(path, statSync(path).size - torn);
    const next = await RecordingWriter.resume(dir);
    t.equal(next.segments, torn > 0 ? 2 : 3);
    await next.reopen();
    for (const segment of legs.slice(next.segments)) await next.append(segment);
    await next.complete('duration');
    t.same(await collect((await RecordingReader.open(dir)).segments()), legs);
    t.same((await verifyRecording(dir)).problems, []);
  }
  const dir = folder(t);
  await (await RecordingWriter.create(dir, facts)).abort();
  const next = await RecordingWriter.resume(dir);
  await next.reopen();
  await next.append(legs[0]!);
  await next.complete('duration');
  t.same(await collect((await RecordingReader.open(dir)).segments()), legs.slice(0, 1), 'also behind nothing');
});

t.test('the digest of a log tells beginnings of it from all others', async (t) => {
  const [dir, other] = [folder(t), folder(t)];
  const segments = randomLog(seeded(t), 6);
  await write(dir, segments);
  const changed = segments.with(2, sealSegment({ ...segments[2]!, payload: segments[3]!.payload }));
  await write(other, changed.slice(0, 3));
  const reader = await RecordingReader.open(dir);
  const all = await digestLog(reader);
  t.match(all, { segments: 6, last: { seq: 5 } });
  t.same(await digestLog(reader, { count: 6 }), all);
  t.equal(await digestLog(reader, { count: 7 }), null, 'more than there is');
  const seen = new Set([all?.digest]);
  for (const count of [0, 1, 2, 3]) seen.add((await digestLog(reader, { count }))?.digest);
  t.equal(seen.size, 5);
  const theirs = await RecordingReader.open(other);
  t.equal((await digestLog(theirs, { count: 2 }))?.digest, (await digestLog(reader, { count: 2 }))?.digest);
  t.not((await digestLog(theirs, { count: 3 }))?.digest, (await digestLog(reader, { count: 3 }))?.digest);
});

t.test('following is cancelled by its signal', async (t) => {
  const dir = folder(t);
  const writer = await RecordingWriter.create(dir, facts);
  const reader = await RecordingReader.open(dir);
  const error = await refusalOf(() => collect(reader.segments({ follow: true, signal: AbortSignal.timeout(30) })));
  t.equal(error?.code, 'E_ABORTED');
  await writer.abort();
});

t.test('a writer that dies leaves every whole segment, wherever the file was cut', async (t) => {
  const dir = folder(t);
  const random = seeded(t);
  const segments = randomLog(random, 6);
  const writer = await RecordingWriter.create(dir, facts);
  const ends: number[] = [];
  const path = join(dir, 'log', '0000000000.seg.partial');
  for (const segment of segments.slice(0, -1)) {
    await writer.append(segment);
    ends.push(statSync(path).size);
  }
  await writer.sync();
  await writer.abort();
  for (let size = ends.at(-1)!; size >= 0; size -= 1 + random.below(40)) {
    truncateSync(path, size);
    const whole = ends.filter((end) => end <= size).length;
    const found = await collect((await RecordingReader.open(dir)).segments());
    if (found.length !== whole) t.fail(`${found.length} segments instead of ${whole} in ${size} bytes`);
    const { problems } = await verifyRecording(dir);
    if (problems.length > 0) t.fail(problems[0]!.message);
  }
});

/** A disk that takes `room` bytes and no more, as a full one does: the last write is cut short, then ENOSPC. */
function fullDisk(room: { bytes: number }): NonNullable<WriterOptions['open']> {
  return async (path, flags) => {
    const handle = await open(path, flags);
    const real = handle.write.bind(handle) as (...args: unknown[]) => Promise<{ bytesWritten: number }>;
    const failing = async (bytes: Uint8Array, at: number, length: number, position: number): Promise<unknown> => {
      const taken = Math.min(length, room.bytes);
      if (taken === 0) throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
      room.bytes -= taken;
      return real(bytes, at, taken, position);
    };
    handle.write = failing as unknown as FileHandle['write'];
    return handle;
  };
}

t.test('a full disk fails the append with its path, and what was written before stays usable', async (t) => {
  const dir = folder(t);
  const segments = randomLog(seeded(t), 30, 60);
  const room = { bytes: 12_000 };
  const writer = await RecordingWriter.create(dir, facts, { open: fullDisk(room), fileBytes: 4000 });
  let appended = 0;
  const error = await refusalOf(async () => {
    for (const segment of segments) {
      await writer.append(segment);
      appended++;
    }
  });
  t.equal(error?.code, 'E_DISK_FULL');
  t.match(error?.facts.path, /log\/\d{10}\.seg$/);
  t.match(error?.message, /the disk is full/);
  t.equal(await refusalOf(() => writer.append(segments[appended]!)), error, 'and says so ever after');
  const reader = await RecordingReader.open(dir);
  t.same(await collect(reader.segments()), segments.slice(0, appended));
  t.equal((await refusalOf(() => writer.complete('full')))?.code, 'E_DISK_FULL', 'the manifest does not fit either');
  t.same((await verifyRecording(dir)).problems, []);
  t.same(await collect((await RecordingReader.open(dir)).segments()), segments.slice(0, appended));
});

t.test('after a full disk the recording can be completed once there is room', async (t) => {
  const dir = folder(t);
  const segments = randomLog(seeded(t), 30, 60);
  const room = { bytes: 6000 };
  const writer = await RecordingWriter.create(dir, facts, { open: fullDisk(room) });
  await refusalOf(async () => {
    for (const segment of segments) await writer.append(segment);
  });
  room.bytes = 1e9;
  await writer.complete('the disk was full');
  const reader = await RecordingReader.open(dir);
  t.match(reader.manifest, { status: 'complete', reason: 'the disk was full', segments: writer.segments });
  t.same(await collect(reader.segments()), segments.slice(0, writer.segments));
  t.same((await verifyRecording(dir)).problems, []);
});

t.test('a disk that is full at the first segment of a log file leaves no empty file behind', async (t) => {
  const dir = folder(t);
  const segments = randomLog(seeded(t), 3, 60);
  const room = { bytes: 1e9 };
  const writer = await RecordingWriter.create(dir, facts, { open: fullDisk(room), fileBytes: 1 });
  await writer.append(segments[0]!);
  room.bytes = 10;
  t.equal((await refusalOf(() => writer.append(segments[1]!)))?.code, 'E_DISK_FULL');
  const following = RecordingReader.open(dir).then((reader) => collect(reader.segments({ follow: true, pollMs: 1 })));
  await delay(20);
  room.bytes = 1e9;
  await writer.complete('the disk was full');
  t.same(readdirSync(join(dir, 'log')), ['0000000000.seg']);
  t.same(await following, segments.slice(0, 1), 'a follower that has it open ends as well');
  t.same((await verifyRecording(dir)).problems, []);
});

t.test('where a disk is full from the start, another attempt may begin in the same place', async (t) => {
  const dir = folder(t);
  const error = await refusalOf(() => RecordingWriter.create(dir, facts, { open: fullDisk({ bytes: 10 }) }));
  t.equal(error?.code, 'E_DISK_FULL');
  t.same(readdirSync(dir), []);
  await write(dir, []);
});

t.test('a second writer is refused', async (t) => {
  const dir = folder(t);
  await write(dir, []);
  t.equal((await refusalOf(() => RecordingWriter.create(dir, facts)))?.code, 'E_RECORDING_EXISTS');
});

t.test('a recording of no segments is complete too', async (t) => {
  const dir = folder(t);
  await write(dir, []);
  const reader = await RecordingReader.open(dir);
  t.same(await collect(reader.segments({ follow: true })), []);
  t.same((await verifyRecording(dir)).problems, []);
});

t.test('segments that do not continue the log, or are not what they say, are refused and do no harm', async (t) => {
  const dir = folder(t);
  const [first, second, third] = randomLog(seeded(t), 4, 60) as [never, never, never];
  const writer = await RecordingWriter.create(dir, facts);
  const refused = async (segment: typeof first): Promise<unknown> =>
    (await refusalOf(() => writer.append(segment)))?.code;
  t.equal(await refused(second), 'E_LOG_SEGMENT', 'it begins with segment 0');
  await writer.append(first);
  t.equal(await refused(first), 'E_LOG_SEGMENT', 'twice');
  t.equal(await refused(third), 'E_LOG_SEGMENT', 'a gap');
  t.equal(await refused({ ...(second as object), checksum: 0n } as never), 'E_LOG_SEGMENT', 'a wrong checksum');
  await writer.append(second);
  await writer.complete('done');
  t.same(await collect((await RecordingReader.open(dir)).segments()), [first, second]);
  t.match(await refusalOf(() => writer.append(third)), { code: 'E_INTERNAL' }, 'and none after the end');
});

t.test('calls take effect in their order without being waited for', async (t) => {
  const dir = folder(t);
  const segments = randomLog(seeded(t), 10);
  const writer = await RecordingWriter.create(dir, facts);
  await Promise.all([...segments.map((segment) => writer.append(segment)), writer.sync(), writer.complete('done')]);
  t.same(await collect((await RecordingReader.open(dir)).segments()), segments);
});

t.test('parts are digested, listed, and found inside the recording only', async (t) => {
  const dir = folder(t);
  mkdirSync(join(dir, 'disk'));
  writeFileSync(join(dir, 'ram.img'), seeded(t).bytes(2_500_000));
  writeFileSync(join(dir, 'disk', 'layer-0.img'), 'layer');
  const writer = await RecordingWriter.create(dir, facts);
  await writer.addPart('ram.img', 'ram-image');
  await writer.addPart('disk/layer-0.img', 'disk-layer');
  await writer.addPart('ram.img', 'ram-image'); // again: replaced, not doubled
  t.equal((await refusalOf(() => writer.addPart('device.state', 'device-state')))?.code, 'E_RECORDING_DAMAGED');
  for (const name of [
    '../out',
    '/etc/passwd',
    'a/../../b',
    'log/0000000000.seg',
    'manifest.trm',
    '.hidden',
    '',
    'a//b',
  ]) {
    t.equal((await refusalOf(() => writer.addPart(name, 'disk-layer')))?.code, 'E_RECORDING_DAMAGED', name);
  }
  await writer.complete('done');
  const reader = await RecordingReader.open(dir);
  t.same(
    reader.manifest.parts.map(({ name, role, bytes }) => [name, role, bytes]),
    [
      ['disk/layer-0.img', 'disk-layer', 5],
      ['ram.img', 'ram-image', 2_500_000],
    ],
  );
  t.equal(readFileSync(await reader.partPath('disk/layer-0.img'), 'utf8'), 'layer');
  t.same((await verifyRecording(dir)).problems, []);
  appendFileSync(join(dir, 'ram.img'), 'more');
  t.match((await verifyRecording(dir)).problems, [{ code: 'E_RECORDING_DAMAGED', file: join(dir, 'ram.img') }]);
});

t.test('verification reports its progress and is cancelled by its signal', async (t) => {
  const dir = folder(t);
  await write(dir, randomLog(seeded(t), 20), { fileBytes: 2000 });
  const seen: [number, number][] = [];
  const { bytes } = await verifyRecording(dir, { onProgress: (read, total) => seen.push([read, total]) });
  t.same(seen.at(-1), [bytes, bytes]);
  t.equal((await refusalOf(() => verifyRecording(dir, { signal: AbortSignal.abort() })))?.code, 'E_ABORTED');
  const reader = await RecordingReader.open(dir);
  t.equal((await refusalOf(() => collect(reader.segments({ signal: AbortSignal.abort() }))))?.code, 'E_ABORTED');
});

t.test('a folder that is no recording is called that', async (t) => {
  const dir = folder(t);
  t.match(await refusalOf(() => RecordingReader.open(dir)), { code: 'E_RECORDING_MISSING', facts: { dir } });
  t.equal((await refusalOf(() => RecordingReader.open(join(dir, 'nowhere'))))?.code, 'E_RECORDING_MISSING');
});
