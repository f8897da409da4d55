// A recording in a folder: a log file of foreign bytes beside an honest manifest. An odd first byte: the rest is heads and
// bodies, each after its length, in envelopes whose checksums are right; else the file.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeRecord } from '../../../src/log/envelope.js';
import { encodeManifest } from '../../../src/log/manifest.js';
import { RecordingReader } from '../../../src/log/recording-reader.js';
import { logFileName, manifestName } from '../../../src/log/recording-layout.js';
import { encodeSegmentRecord } from '../../../src/log/segment-record.js';
import { verifyRecording } from '../../../src/log/recording-verify.js';
import { facts, Random, randomLog } from '../../log/support.js';
import { scratchFolder } from '../scratch.js';
import { attemptLater, type Target } from '../target.js';

const dir = scratchFolder();
mkdirSync(join(dir, 'log'));
writeFileSync(join(dir, manifestName), encodeManifest({ ...facts, status: 'recording', parts: [], quirks: 0n }));

const prefixBytes = 24;
const lengths = (head: number, body: number): Buffer => Buffer.of(head & 255, head >> 8, body & 255, body >> 8);

function taken(record: Buffer): Buffer {
  const headBytes = record.readUInt32LE(8);
  const body = record.subarray(prefixBytes + headBytes + 8);
  return Buffer.concat([lengths(headBytes, body.length), record.subarray(prefixBytes, prefixBytes + headBytes), body]);
}

function enveloped(bytes: Buffer): Buffer {
  const records: Buffer[] = [];
  for (let at = 0; at + 4 <= bytes.length;) {
    const [head, body] = [bytes.readUInt16LE(at), bytes.readUInt16LE(at + 2)];
    const bodyAt = at + 4 + head;
    records.push(encodeRecord('segment', bytes.subarray(at + 4, bodyAt), bytes.subarray(bodyAt, bodyAt + body), 3));
    at = bodyAt + body;
  }
  return Buffer.concat(records);
}

export const target: Target = {
  seeds: () =>
    Array.from({ length: 6 }, (_, seed) => {
      const records = randomLog(new Random(seed), 1 + (seed % 3), 5).map(encodeSegmentRecord);
      return [Buffer.concat([Buffer.of(0), ...records]), Buffer.concat([Buffer.of(1), ...records.map(taken)])];
    }).flat(),
  run: async (bytes) => {
    if (bytes.length === 0) return;
    const rest = bytes.subarray(1);
    writeFileSync(join(dir, logFileName(0)), (bytes[0]! & 1) === 1 ? enveloped(rest) : rest);
    await attemptLater(async () => {
      for await (const _ of (await RecordingReader.open(dir)).segments()) {
        // Reading is what is tried.
      }
    });
    await attemptLater(() => verifyRecording(dir));
  },
};
