// Made fixtures/logs/columnar, once: the real log and one event of each kind, as the encoding `columnar` was when it was new.
// Golden files are never regenerated (scripts/log-fixtures.mjs says why), so this refuses to overwrite anything.
//
//   node scripts/log-fixtures-columnar.mjs [folder of the compiled src, build/src unless told]
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const built = resolve(process.argv[2] ?? join(root, 'build', 'src'));
const load = (path) => import(pathToFileURL(join(built, path)).href);
const { readQemuLog, decodeEvents, sealSegment, RecordingReader, RecordingWriter, WireEncoder } =
  await load('log/index.js');
const { alone, encodeColumnar } = await load('log/columnar.js');
const { EventModel } = await load('log/event-model.js');
const { prime } = await load('log/primer.js');
const { frames } = await load('log/zstd.js');
const { icount } = await load('units.js');

const old = join(root, 'fixtures', 'logs', 'v1');
const golden = join(root, 'fixtures', 'logs', 'columnar');
if (existsSync(golden)) throw new Error(`${golden} is there already, and golden files are not written twice`);
mkdirSync(golden, { recursive: true });

/** The real log in segments of so many events. */
function* segments(events) {
  const { payload } = readQemuLog(readFileSync(join(old, 'devices.qemu-log')));
  const cuts = [...decodeEvents(payload, icount(0))].filter((_, index) => index % events === 0);
  let from = icount(0);
  for (const [seq, { offset }] of cuts.entries()) {
    const segment = sealSegment({ seq, from, payload: payload.subarray(offset, cuts[seq + 1]?.offset) });
    yield segment;
    from = segment.to;
  }
}

const { uuid, machine, spec, qemu, target, shift, createdMs, virtualNs, registers, devices, blocks } = (
  await RecordingReader.open(join(old, 'recording'))
).manifest;
const facts = { uuid, machine, spec, qemu, target, shift, createdMs, virtualNs, registers, devices, blocks };
const writer = await RecordingWriter.create(join(golden, 'recording'), facts);
for (const segment of segments(100)) await writer.append(segment);
await writer.complete('for the golden files');

const encoder = new WireEncoder({ columnar: true });
const lines = [...segments(10)].map((segment) => {
  const { header, bytes } = encoder.encode(segment);
  const hex = bytes.toString('hex');
  if (header === null) return JSON.stringify({ hex });
  const { seq, from, to, events, checksum, payloadBytes } = header;
  return JSON.stringify({ seq, from, to, events, checksum: String(checksum), payloadBytes, hex });
});
writeFileSync(join(golden, 'wire.txt'), `${lines.join('\n')}\n`);

const everyEvent = readFileSync(join(old, 'every-event.payload'));
const place = alone({ payloadBytes: everyEvent.length, from: 0 });
writeFileSync(join(golden, 'every-event.columnar'), encodeColumnar(prime(new EventModel()), frames, everyEvent, place));
