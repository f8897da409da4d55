// A recording's manifest. An odd first byte: the rest is the table, in an envelope whose checksums are right; else the file.
import { isDeepStrictEqual } from 'node:util';
import { readdirSync, readFileSync } from 'node:fs';
import { encodeRecord } from '../../../src/log/envelope.js';
import { decodeManifest, encodeManifest, type RecordingManifest } from '../../../src/log/manifest.js';
import { icount } from '../../../src/units.js';
import { facts } from '../../log/support.js';
import { attempt, must, type Target } from '../target.js';

const manifests: readonly RecordingManifest[] = [
  { ...facts, status: 'recording', parts: [], quirks: 0n },
  {
    ...facts,
    status: 'complete',
    reason: 'stopped',
    segments: 3,
    endIcount: icount(77),
    digests: { registers: 'ab', devices: 'cd', ram: 'ef' },
    parts: [{ name: 'ram.img', role: 'ram-image', bytes: 4096, digest: '00' }],
    quirks: 1n,
  },
];

export const target: Target = {
  seeds: () => [
    ...manifests.map((manifest) => {
      const whole = encodeManifest(manifest);
      return Buffer.concat([Buffer.of(1), whole.subarray(24, 24 + whole.readUInt32LE(8))]);
    }),
    ...readdirSync('fixtures/damaged')
      .filter((name) => name.startsWith('manifest-') && name !== 'manifest-missing')
      .map((name) => Buffer.concat([Buffer.of(0), readFileSync(`fixtures/damaged/${name}/manifest.trm`)])),
  ],
  run: (bytes) => {
    if (bytes.length === 0) return;
    const rest = bytes.subarray(1);
    const file = (bytes[0]! & 1) === 1 ? encodeRecord('manifest', rest, Buffer.alloc(0)) : rest;
    const manifest = attempt(() => decodeManifest(file, 'manifest.trm'));
    // A part whose kind this trmig does not know is read, and never written.
    if (manifest === undefined || manifest.parts.some(({ role }) => role === null)) return;
    const again = decodeManifest(encodeManifest(manifest), 'again');
    must(isDeepStrictEqual(again, manifest), 'a manifest changes when it is encoded and decoded');
  },
};
