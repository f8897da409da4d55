// Damaged recordings: each fault gives one clear error that names file and offset, from reading as from verifying, and
// never a crash or a half result that looks whole.
import { cpSync, readdirSync, readFileSync, symlinkSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { RecordingReader } from '../../src/log/recording-reader.js';
import { verifyRecording } from '../../src/log/recording-verify.js';
import { decodeManifest, encodeManifest } from '../../src/log/manifest.js';
import { LogFileReader } from '../../src/log/log-file.js';
import { TracerFrameDecoder } from '../../src/log/tracer-frames.js';
import { encodeRecord } from '../../src/log/envelope.js';
import { encodeSegmentRecord, readSegmentHead } from '../../src/log/segment-record.js';
import { collect, facts, folder, mutate, randomLog, refusal, refusalOf, seeded } from './support.js';

const golden = 'fixtures/logs/v1/recording';

interface Expected {
  readonly code: string;
  readonly file: string | null;
  readonly offset: number;
  readonly verifyOnly: boolean;
}
const { recordings: faults } = JSON.parse(readFileSync('fixtures/damaged/expected.json', 'utf8')) as {
  recordings: Record<string, Expected>;
};

t.test('version 1 of a recording is read, and is whole', async (t) => {
  const reader = await RecordingReader.open(golden);
  t.match(reader.manifest, {
    machine: 'golden',
    qemu: '10.0.2',
    shift: 1,
    registers: '00112233445566778899aabbccddeeff',
    devices: null,
    status: 'complete',
    reason: 'the fixture was done',
    segments: 5,
    blocks: [{ name: 'pc.ram' }, { name: 'pc.bios' }],
  });
  const stream = new TracerFrameDecoder().push(readFileSync('fixtures/logs/v1/frames.trl'));
  t.same(await collect(reader.segments()), stream, 'the same segments as the stream of version 1');
  t.same((await verifyRecording(golden)).problems, []);
});

t.test('every damaged fixture is listed, and every listed one is there', (t) => {
  const folders = readdirSync('fixtures/damaged', { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name !== 'frames')
    .map((entry) => entry.name);
  t.same(folders.sort(), Object.keys(faults).sort());
  t.end();
});

for (const [fault, { code, file, offset, verifyOnly }] of Object.entries(faults)) {
  t.test(`one clear error for the fault: ${fault}`, async (t) => {
    const dir = join('fixtures/damaged', fault);
    const where = file === null ? {} : { file: join(dir, file), offset };
    const error = await refusalOf(async () => {
      const reader = await RecordingReader.open(dir);
      await collect(reader.segments());
    });
    if (verifyOnly) t.equal(error, null, 'the log itself can be read');
    else t.match(error, { code, facts: where });
    if (code === 'E_RECORDING_MISSING') {
      t.equal((await refusalOf(() => verifyRecording(dir)))?.code, code);
      return;
    }
    const { problems } = await verifyRecording(dir);
    t.match(problems[0], { code, ...where }, 'verify names it first');
    t.ok(problems[0]?.message.includes(file!), 'its message names the file');
    t.equal(problems.length, 1, 'and makes nothing else of it');
  });
}

t.test('verification goes on after a damaged file, and lists each', async (t) => {
  const dir = folder(t);
  cpSync(golden, dir, { recursive: true });
  const files = readdirSync(join(dir, 'log')).sort();
  for (const name of [files[0]!, files[2]!]) {
    const bytes = readFileSync(join(dir, 'log', name));
    bytes[50]! ^= 1;
    writeFileSync(join(dir, 'log', name), bytes);
  }
  const { problems } = await verifyRecording(dir);
  t.same(
    problems.map(({ file }) => file),
    [join(dir, 'log', files[0]!), join(dir, 'log', files[2]!)],
  );
});

t.test('log files missing at the beginning, in the middle and at the end are named', async (t) => {
  const dir = folder(t);
  const files = readdirSync(join(golden, 'log')).sort();
  for (const name of files) {
    rmSync(dir, { recursive: true });
    cpSync(golden, dir, { recursive: true });
    rmSync(join(dir, 'log', name));
    t.match((await verifyRecording(dir)).problems, [{ file: join(dir, 'log', name), offset: 0 }]);
    t.match(await refusalOf(async () => collect((await RecordingReader.open(dir)).segments())), {
      code: 'E_RECORDING_DAMAGED',
      facts: { file: join(dir, 'log', name) },
    });
  }
});

t.test('a part that is a link out of the recording is refused', async (t) => {
  const dir = folder(t);
  cpSync(golden, dir, { recursive: true });
  rmSync(join(dir, 'device.state'));
  symlinkSync('/etc/hostname', join(dir, 'device.state'));
  const reader = await RecordingReader.open(dir);
  t.match(await refusalOf(() => reader.partPath('device.state')), {
    code: 'E_RECORDING_DAMAGED',
    message: /leads out of the recording/,
  });
});

t.test('random and mutated manifests give a manifest or one TrmigError', (t) => {
  const random = seeded(t);
  const honest = encodeManifest({ ...facts, parts: [], quirks: 0n, status: 'recording' });
  const allowed = ['E_RECORDING_DAMAGED', 'E_RECORDING_FORMAT'];
  const headBytes = honest.readUInt32LE(8);
  for (let round = 0; round < 3000; round++) {
    // Every third with sums that are right: only the table itself is bad then.
    const bytes =
      round % 3 === 0
        ? encodeRecord('manifest', mutate(random, honest.subarray(24, 24 + headBytes)), Buffer.alloc(0))
        : round % 3 === 1
          ? mutate(random, honest)
          : random.bytes(random.below(400));
    const error = refusal(() => decodeManifest(bytes, 'manifest.trm'));
    if (error !== null && !allowed.includes(error.code)) t.fail(error.message);
  }
  t.end();
});

t.test('mutated segment heads with sums that are right give a header or E_RECORDING_DAMAGED', (t) => {
  const random = seeded(t);
  const record = encodeSegmentRecord(randomLog(random, 1)[0]!);
  const head = record.subarray(24, 24 + record.readUInt32LE(8));
  for (let round = 0; round < 3000; round++) {
    const error = refusal(() => readSegmentHead(mutate(random, head), { file: 'f', offset: 3 }));
    if (error !== null && error.code !== 'E_RECORDING_DAMAGED') t.fail(error.message);
  }
  t.end();
});

t.test('random and mutated log files give segments or one TrmigError', async (t) => {
  const random = seeded(t);
  const dir = folder(t);
  const honest = Buffer.concat(randomLog(random, 3).map(encodeSegmentRecord));
  const path = join(dir, '0000000000.seg');
  for (let round = 0; round < 400; round++) {
    writeFileSync(path, round % 4 === 0 ? random.bytes(random.below(500)) : mutate(random, honest));
    const error = await refusalOf(async () => {
      const file = await LogFileReader.open(path);
      try {
        for (let offset = 0; ;) {
          const stored = await file.head(offset);
          if (!('header' in stored)) break;
          await file.body(stored);
          offset += stored.storedBytes;
        }
      } finally {
        await file.close();
      }
    });
    if (error !== null && !['E_RECORDING_DAMAGED', 'E_RECORDING_FORMAT'].includes(error.code)) t.fail(error.message);
    if (error !== null && error.facts.file !== path) t.fail(`no file in: ${error.message}`);
  }
});
