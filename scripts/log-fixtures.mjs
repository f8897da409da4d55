// Made fixtures/logs/v1 and fixtures/damaged, once. Golden files are never regenerated: they are what an older trmig wrote,
// and each newer one must read. So this refuses to overwrite anything; a new format gets fixtures/logs/v2 and a script of
// its own making beside this one.
//
//   node scripts/log-fixtures.mjs [folder of the compiled src, build/src unless told]
//
// The two *.qemu-log files are from QEMU 10.0.2 itself (see fixtures/logs/README.md); everything else comes from them.
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const built = resolve(process.argv[2] ?? join(root, 'build', 'src'));
const load = (path) => import(pathToFileURL(join(built, path)).href);
const log = await load('log/index.js');
const { encodeRecord } = await load('log/envelope.js');
const { encodeManifest, decodeManifest } = await load('log/manifest.js');
const { encodeSegmentRecord } = await load('log/segment-record.js');
const { xxh3 } = await load('native/index.js');

const golden = join(root, 'fixtures', 'logs', 'v1');
const damagedDir = join(root, 'fixtures', 'damaged');

function write(path, bytes) {
  if (existsSync(path)) throw new Error(`${path} is there already, and golden files are not written twice`);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, bytes);
}

// --- one event of each kind, spelled out ---
const u8 = (n) => Buffer.from([n]);
const u32 = (n) => {
  const b = Buffer.alloc(4);
  b.writeInt32BE(n | 0);
  return b;
};
const u64 = (n) => {
  const b = Buffer.alloc(8);
  b.writeBigInt64BE(BigInt(n));
  return b;
};
const array = (text) => Buffer.concat([u32(text.length), Buffer.from(text)]);
const everyEvent = Buffer.concat([
  u8(0),
  u32(1000),
  u8(1),
  u8(2),
  u8(3),
  u64(1000),
  u8(4),
  u64(999),
  u8(5),
  u32(0),
  u32(0),
  u64(28),
  u8(1), // key by number
  u8(5),
  u32(0),
  u32(1),
  u32(44),
  u8(0), // key by qcode
  u8(5),
  u32(1),
  u32(2),
  u8(1), // button
  u8(5),
  u32(2),
  u32(0),
  u64(-7), // relative
  u8(5),
  u32(3),
  u32(1),
  u64(0x7fff), // absolute
  u8(5),
  u32(4),
  u32(1),
  u64(2),
  u64(77),
  u32(1),
  u64(300), // multi-touch
  u8(6),
  u8(7),
  u8(1),
  array('typed'),
  u8(0),
  u32(0x7fffffff),
  u8(8),
  u64(3),
  u8(9),
  u8(0),
  u32(0),
  array('packet'),
  ...Array.from({ length: 11 }, (_, cause) => u8(10 + cause)),
  u8(22),
  u32(-11),
  u32(0),
  u8(23),
  array('all of it'),
  u8(24),
  u32(-5),
  u8(25),
  u64(512),
  u8(26),
  u64(2),
  u64(8),
  u64(1),
  u64(2),
  u64(3),
  u64(4),
  u8(27),
  u32(0),
  array('\x01\x02\x03\x04'),
  u8(28),
  u64(1763729674000000000n),
  u8(29),
  u64(-1),
  ...Array.from({ length: 9 }, (_, checkpoint) => u8(30 + checkpoint)),
]);

const plain = (_, value) =>
  typeof value === 'bigint'
    ? String(value)
    : value?.type === 'Buffer'
      ? Buffer.from(value.data).toString('hex')
      : value;
const lines = (payload) =>
  [...log.decodeEvents(payload, 0)].map((event) => JSON.stringify(event, plain) + '\n').join('');

// --- segments: cut where the events stand, every 300 or so ---
function segmentsOf(payload) {
  const cuts = [];
  let count = 0;
  for (const event of log.decodeEvents(payload, 0)) {
    if (count++ % 300 === 0 && event.offset > 0) cuts.push(event.offset);
  }
  const segments = [];
  let [start, from] = [0, 0];
  for (const end of [...cuts, payload.length]) {
    const seq = segments.length;
    const virtualNs = seq * 50_000_000;
    const canary = seq % 2 === 0 ? BigInt(seq) * 0x1111111111111111n : null;
    const segment = log.sealSegment({
      seq,
      from,
      payload: payload.subarray(start, end),
      canary,
      final: end === payload.length,
      virtualNs,
      hostNs: virtualNs + 1e12,
    });
    segments.push(segment);
    [start, from] = [end, segment.to];
  }
  return segments;
}

const facts = {
  uuid: '8d3a3c9e-5f0b-4f57-9a0e-0d7c2f5b1a11',
  machine: 'golden',
  spec: '{"machine":"pc","memoryMib":32}',
  qemu: '10.0.2',
  target: 'x86_64',
  shift: 1,
  createdMs: 1763729674000,
  virtualNs: 0,
  registers: '00112233445566778899aabbccddeeff',
  devices: null,
  blocks: [
    { name: 'pc.ram', bytes: 33554432, pageBytes: 4096 },
    { name: 'pc.bios', bytes: 262144, pageBytes: 4096 },
  ],
};

async function record(dir, segments) {
  const writer = await log.RecordingWriter.create(dir, facts, { fileBytes: 1500 });
  write(join(dir, 'device.state'), Buffer.from('not a device state, but something to digest\n'));
  write(join(dir, 'disk', 'layer-0.img'), Buffer.from('not a disk layer either\n'));
  await writer.addPart('device.state', 'device-state');
  await writer.addPart('disk/layer-0.img', 'disk-layer');
  for (const segment of segments) await writer.append(segment);
  await writer.complete('the fixture was done');
}

// --- golden ---
const expected = {};
write(join(golden, 'every-event.payload'), everyEvent);
write(join(golden, 'every-event.jsonl'), lines(everyEvent));
for (const name of ['seabios', 'devices']) {
  const { payload } = log.readQemuLog(readFileSync(join(golden, `${name}.qemu-log`)));
  const { events, instructions } = log.scanPayload(payload);
  expected[name] = { events, instructions, jsonlSha256: createHash('sha256').update(lines(payload)).digest('hex') };
}
write(join(golden, 'expected.json'), JSON.stringify(expected, null, 2) + '\n');
const { payload } = log.readQemuLog(readFileSync(join(golden, 'devices.qemu-log')));
const segments = segmentsOf(payload);
write(join(golden, 'frames.trl'), Buffer.concat(segments.map(log.encodeTracerFrame)));
await record(join(golden, 'recording'), segments);

// --- damaged: each one fault in a copy of the golden recording ---
const faults = {};
const logs = readdirSync(join(golden, 'recording', 'log'))
  .sort()
  .map((file) => `log/${file}`);
const manifestBytes = readFileSync(join(golden, 'recording', 'manifest.trm'));
const manifest = decodeManifest(manifestBytes, 'manifest.trm');
const flip = (path, at, mask = 1) => {
  const bytes = readFileSync(path);
  bytes[at] ^= mask;
  writeFileSync(path, bytes);
};
/** What is in a log file, record by record: [offset, bytes]. */
const records = (bytes) => {
  const found = [];
  for (let at = 0; at < bytes.length;) {
    const length = 24 + bytes.readUInt32LE(at + 8) + 8 + bytes.readUInt32LE(at + 12);
    found.push([at, length]);
    at += length;
  }
  return found;
};
const bodyAt = (bytes, at) => at + 24 + bytes.readUInt32LE(at + 8) + 8;
/** Another version with sums that are right. */
const newer = (path, at) => {
  const bytes = readFileSync(path);
  bytes.writeUInt16LE(2, at + 4);
  const end = bodyAt(bytes, at) - 8;
  bytes.writeBigUInt64LE(xxh3(bytes.subarray(at, end)), end);
  writeFileSync(path, bytes);
};

function fault(name, file, offset, damage, code = 'E_RECORDING_DAMAGED', verifyOnly = false) {
  const dir = join(damagedDir, name);
  if (existsSync(dir)) throw new Error(`${dir} is there already`);
  cpSync(join(golden, 'recording'), dir, { recursive: true });
  damage(dir);
  faults[name] = { code, file, offset, verifyOnly };
}

const manifestFile = (dir) => join(dir, 'manifest.trm');
const rewrite = (change) => (dir) => writeFileSync(manifestFile(dir), encodeManifest({ ...manifest, ...change }));
const second = logs[1];
const secondBytes = readFileSync(join(golden, 'recording', second));
const insideBytes = records(secondBytes)[0][1];
const firstSeqOfSecond = Number(/(\d+)\.seg$/.exec(second)[1]);
/** Replaces the second file by one record. */
const forged = (segment) => (dir) => writeFileSync(join(dir, second), encodeSegmentRecord(segment));
const honest = segments[firstSeqOfSecond];

fault('manifest-missing', null, null, (dir) => rmSync(manifestFile(dir)), 'E_RECORDING_MISSING');
fault('manifest-empty', 'manifest.trm', 0, (dir) => truncateSync(manifestFile(dir), 0));
fault('manifest-truncated', 'manifest.trm', 0, (dir) => truncateSync(manifestFile(dir), manifestBytes.length - 5));
fault('manifest-bit-flipped', 'manifest.trm', 0, (dir) => flip(manifestFile(dir), 200));
fault('manifest-newer-format', 'manifest.trm', 0, (dir) => newer(manifestFile(dir), 0), 'E_RECORDING_FORMAT');
fault('manifest-followed-by-bytes', 'manifest.trm', manifestBytes.length, (dir) =>
  writeFileSync(manifestFile(dir), Buffer.concat([manifestBytes, Buffer.from('more')])),
);
fault('manifest-is-text', 'manifest.trm', 0, (dir) => writeFileSync(manifestFile(dir), 'machine: golden\n'.repeat(20)));
fault(
  'manifest-names-a-part-outside',
  'manifest.trm',
  0,
  rewrite({ parts: [{ ...manifest.parts[0], name: '../../../../etc/passwd' }] }),
);
fault('manifest-table-points-outside', 'manifest.trm', 0, (dir) => {
  const head = Buffer.from(manifestBytes.subarray(24, 24 + manifestBytes.readUInt32LE(8)));
  head.writeUInt32LE(0x7ffffff0, 0);
  writeFileSync(manifestFile(dir), encodeRecord('manifest', head, Buffer.alloc(0)));
});
fault(
  'manifest-counts-another-log',
  'manifest.trm',
  0,
  rewrite({ endIcount: manifest.endIcount + 1 }),
  'E_RECORDING_DAMAGED',
  true,
);
fault('log-file-truncated', second, 0, (dir) => truncateSync(join(dir, second), insideBytes - 7));
fault('log-file-empty', second, 0, (dir) => truncateSync(join(dir, second), 0));
fault('log-file-missing', second, 0, (dir) => rmSync(join(dir, second)));
fault('log-head-bit-flipped', second, 0, (dir) => flip(join(dir, second), 60));
fault('log-body-bit-flipped', second, 0, (dir) => flip(join(dir, second), bodyAt(secondBytes, 0) + 100));
fault('log-newer-format', second, 0, (dir) => newer(join(dir, second), 0), 'E_RECORDING_FORMAT');
fault('log-is-zeros', second, 0, (dir) => writeFileSync(join(dir, second), Buffer.alloc(500)));
fault('log-segment-too-large', second, 0, (dir) => {
  const bytes = Buffer.from(secondBytes);
  bytes.writeUInt32LE(0xfffffff0, 12);
  writeFileSync(join(dir, second), bytes);
});
fault('log-file-of-other-segments', second, 0, (dir) => cpSync(join(dir, logs[0]), join(dir, second)));
fault('log-segment-of-other-range', second, 0, forged({ ...honest, from: honest.from + 1, to: honest.to + 1 }));
fault('log-segment-counts-wrong', second, 0, forged({ ...honest, events: honest.events + 1 }));
fault('log-segment-is-no-events', second, 0, (dir) => {
  const payload = Buffer.from('these are no events of QEMU');
  forged({ ...honest, payload, checksum: xxh3(payload) })(dir);
});
fault('log-segment-unpacks-to-more', second, 0, (dir) => {
  // The header of the honest segment around the packed bytes of a much longer one.
  const big = Buffer.alloc(1 << 20, 1);
  const bomb = encodeSegmentRecord({ ...honest, payload: big });
  const own = encodeSegmentRecord(honest);
  const head = own.subarray(24, 24 + own.readUInt32LE(8));
  writeFileSync(join(dir, second), encodeRecord('segment', head, bomb.subarray(bodyAt(bomb, 0))));
});
fault('part-missing', 'device.state', 0, (dir) => rmSync(join(dir, 'device.state')), 'E_RECORDING_DAMAGED', true);
fault(
  'part-truncated',
  'device.state',
  20,
  (dir) => truncateSync(join(dir, 'device.state'), 20),
  'E_RECORDING_DAMAGED',
  true,
);
fault(
  'part-bit-flipped',
  'disk/layer-0.img',
  0,
  (dir) => flip(join(dir, 'disk', 'layer-0.img'), 3),
  'E_RECORDING_DAMAGED',
  true,
);

// --- damaged frames of the tracer ---
const frames = segments.slice(0, 3).map(log.encodeTracerFrame);
const joined = Buffer.concat(frames);
const at = frames[0].length;
const frameFaults = {};
function frameFault(name, offset, damage) {
  const bytes = damage(Buffer.from(joined));
  write(join(damagedDir, 'frames', `${name}.trl`), bytes);
  frameFaults[name] = { code: 'E_TRACER_FRAME', offset };
}
const set = (change) => (bytes) => (change(bytes), bytes);
frameFault('ends-in-a-header', at, (bytes) => bytes.subarray(0, at + 40));
frameFault('ends-in-a-payload', at, (bytes) => bytes.subarray(0, at + 100));
frameFault(
  'magic-is-wrong',
  at,
  set((bytes) => bytes.writeUInt32LE(0x324c5254, at)),
);
frameFault(
  'kind-is-unknown',
  at,
  set((bytes) => bytes.writeUInt16LE(2, at + 4)),
);
frameFault(
  'flag-is-unknown',
  at,
  set((bytes) => bytes.writeUInt16LE(4, at + 6)),
);
frameFault(
  'payload-is-too-large',
  at,
  set((bytes) => bytes.writeUInt32LE(0x01000001, at + 8)),
);
frameFault(
  'events-are-miscounted',
  at,
  set((bytes) => bytes.writeUInt32LE(9999, at + 12)),
);
frameFault(
  'seq-has-a-gap',
  at,
  set((bytes) => bytes.writeBigUInt64LE(2n, at + 16)),
);
frameFault(
  'range-has-a-gap',
  at,
  set((bytes) => bytes.writeBigUInt64LE(bytes.readBigUInt64LE(at + 24) + 1n, at + 24)),
);
frameFault(
  'number-is-beyond-2-to-the-53',
  at,
  set((bytes) => bytes.writeBigUInt64LE(1n << 60n, at + 56)),
);
frameFault(
  'payload-bit-flipped',
  at,
  set((bytes) => (bytes[at + 80] ^= 4)),
);
frameFault('payload-ends-in-an-event', at, (bytes) => {
  const cut = Buffer.from(bytes.subarray(0, at + frames[1].length - 1));
  cut.writeUInt32LE(cut.length - at - 72, at + 8);
  cut.writeBigUInt64LE(xxh3(cut.subarray(at + 72)), at + 64);
  return cut;
});
frameFault(
  'goes-on-after-the-final',
  at,
  set((bytes) => bytes.writeUInt16LE(bytes.readUInt16LE(6) | 2, 6)),
);

write(join(damagedDir, 'expected.json'), JSON.stringify({ recordings: faults, frames: frameFaults }, null, 2) + '\n');
console.log(`${Object.keys(faults).length} damaged recordings, ${Object.keys(frameFaults).length} damaged streams`);
