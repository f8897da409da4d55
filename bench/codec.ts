// What the log's encodings make of a log, and what they cost. Prints a table and leaves out/bench/codec.json.
//
//   node build/bench/codec.js PLACE…                     recordings (folders), or files of the tracer's frames
//   node build/bench/codec.js --record idle,hotset [--seconds 12] [--segment-ms 50]
//                                                        records guests first, to out/logs/WORKLOAD-MS.trl
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { WireDecoder, WireEncoder, decodeFromDisk, encodeForDisk, type Segment } from '../src/log/index.js';
import { frames as zstdFrames } from '../src/log/zstd.js';
import { segmentFrame } from '../src/migrate/segment-frames.js';
import { encodeFrame } from '../src/wire/parser.js';
import { LONE_WORKLOADS, requireGuest } from './guest.js';
import { readLog, recordLog } from './log-tape.js';
import { markdown } from './table.js';

const resultsFile = 'out/bench/codec.json';
/** The fastest of so many is what the code costs; the others say what else the machine did. */
const rounds = 12;

interface Wire {
  /** Encoded segments, with whatever they tell of their headers. */
  readonly encodedBytes: number;
  /** The frames that carry them. */
  readonly frameBytes: number;
  readonly encodeNsPerEvent: number;
  readonly decodeNsPerEvent: number;
  /** Of one core, at the rate of the recording: encoding and decoding together. */
  readonly cpuShare: number;
}

interface CodecRow {
  readonly log: string;
  readonly seconds: number;
  readonly segments: number;
  readonly events: number;
  readonly rawBytes: number;
  readonly wire: { readonly zstd: Wire; readonly columnar: Wire };
  readonly disk: { readonly zstdBytes: number; readonly columnarBytes: number; readonly encodeUsPerSegment: number };
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** ns that `run` takes, at best. */
function fastestNs(run: () => void): number {
  return Math.min(
    ...Array.from({ length: rounds }, () => {
      const began = process.hrtime.bigint();
      run();
      return Number(process.hrtime.bigint() - began);
    }),
  );
}

function measureWire(segments: readonly Segment[], columnar: boolean, seconds: number): Wire {
  const events = sum(segments.map((segment) => segment.events));
  const frame = new WireEncoder({ columnar });
  const sent = segments.map((segment) => segmentFrame(frame, segment));
  const encoder = new WireEncoder({ columnar });
  const crossing = segments.map((segment) => encoder.encode(segment));
  const arrived = new WireDecoder();
  crossing.forEach(({ header, bytes }, index) => {
    const { seq, payload } = segments[index]!;
    if (!arrived.decode(header, bytes).payload.equals(payload)) throw new Error(`segment ${seq} came out as another`);
  });
  const encodeNs = fastestNs(() => {
    const again = new WireEncoder({ columnar });
    for (const segment of segments) again.encode(segment);
  });
  const decodeNs = fastestNs(() => {
    const again = new WireDecoder();
    for (const { header, bytes } of crossing) again.decode(header, bytes);
  });
  return {
    encodedBytes: sum(sent.map(({ bytes }) => bytes.length)),
    frameBytes: sum(sent.map((one) => encodeFrame(one, { short: columnar }).bytes)),
    encodeNsPerEvent: encodeNs / events,
    decodeNsPerEvent: decodeNs / events,
    cpuShare: (encodeNs + decodeNs) / (seconds * 1e9),
  };
}

function measure(log: string, segments: readonly Segment[]): CodecRow {
  const seconds = (segments.at(-1)!.hostNs - segments[0]!.hostNs) / 1e9;
  const stored = segments.map(encodeForDisk);
  stored.forEach(({ header, bytes }) => decodeFromDisk(header, bytes));
  return {
    log,
    seconds,
    segments: segments.length,
    events: sum(segments.map((segment) => segment.events)),
    rawBytes: sum(segments.map(({ payload }) => payload.length)),
    wire: { zstd: measureWire(segments, false, seconds), columnar: measureWire(segments, true, seconds) },
    disk: {
      zstdBytes: sum(segments.map(({ payload }) => zstdFrames.squeeze(payload).length)),
      columnarBytes: sum(stored.map(({ bytes }) => bytes.length)),
      encodeUsPerSegment: fastestNs(() => segments.forEach(encodeForDisk)) / 1e3 / segments.length,
    },
  };
}

function table(rows: readonly CodecRow[]): string {
  return markdown(
    [
      ...['log', 'events/s', 'segments/s', 'raw B/s', 'zstd B/s', 'in frames', 'columnar B/s', 'in frames', 'ratio'],
      ...['ns/event to', 'and fro', '% of a core', 'disk zstd B/s', 'columnar B/s'],
    ],
    rows.map(({ log, seconds, segments, events, rawBytes, wire: { zstd, columnar }, disk }) => {
      const rate = (count: number): string => (count / seconds).toFixed(0);
      return [
        ...[log, rate(events), (segments / seconds).toFixed(1), rate(rawBytes)],
        ...[zstd, columnar].flatMap(({ encodedBytes, frameBytes }) => [rate(encodedBytes), rate(frameBytes)]),
        `${(rawBytes / columnar.frameBytes).toFixed(1)}:1`,
        ...[columnar.encodeNsPerEvent, columnar.decodeNsPerEvent].map((ns) => ns.toFixed(0)),
        (columnar.cpuShare * 100).toFixed(2),
        ...[rate(disk.zstdBytes), rate(disk.columnarBytes)],
      ];
    }),
  );
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    record: { type: 'string' },
    seconds: { type: 'string', default: '12' },
    'segment-ms': { type: 'string', default: '50' },
  },
});
const places = [...positionals];
if (values.record !== undefined) {
  await requireGuest();
  await mkdir('out/logs', { recursive: true });
  const segmentMs = Number(values['segment-ms']);
  for (const word of values.record.split(',')) {
    const workload = LONE_WORKLOADS.find((candidate) => candidate === word);
    if (workload === undefined) throw new Error(`--record: '${word}' is none of ${LONE_WORKLOADS.join(', ')}`);
    const place = `out/logs/${workload}-${segmentMs}.trl`;
    await writeFile(place, await recordLog({ workload, memory: '256M', seconds: Number(values.seconds), segmentMs }));
    places.push(place);
  }
}
if (places.length === 0) throw new Error('name a recording, or say --record idle,hotset,compile,alu');
const rows: CodecRow[] = [];
for (const place of places) rows.push(measure(path.basename(place), await readLog(place)));
await mkdir(path.dirname(resultsFile), { recursive: true });
await writeFile(resultsFile, `${JSON.stringify(rows, null, 2)}\n`);
console.log(`${table(rows)}\n\n${resultsFile}`);
