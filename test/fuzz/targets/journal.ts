// The ownership journal. An odd first byte: the rest is lines of JSON, whose checksums are made right; else the file.
import { crc32 } from 'node:zlib';
import { decodeJournal, encodeRecord, type OwnershipRecord } from '../../../src/migrate/journal.js';
import { attempt, must, type Target } from '../target.js';

const record: OwnershipRecord = {
  migrationId: 'm1',
  epoch: 3,
  peer: '10.0.0.2:7600',
  time: '2024-01-01T00:00:00.000Z',
  role: 'source',
  state: 'recording',
};

const records: readonly OwnershipRecord[] = [
  record,
  { ...record, state: 'relinquished' },
  { ...record, role: 'destination', state: 'owner', epoch: 4 },
];

function summed(text: string): Buffer {
  const lines = text.split('\n').map((json) => `${crc32(json).toString(16).padStart(8, '0')} ${json}\n`);
  return Buffer.from(lines.join(''));
}

export const target: Target = {
  seeds: () => {
    const file = Buffer.concat(records.map(encodeRecord));
    return [
      Buffer.concat([Buffer.of(0), file]),
      Buffer.concat([Buffer.of(0), file.subarray(0, -9), Buffer.alloc(40)]),
      Buffer.from(`\u0001${records.map((one) => JSON.stringify(one)).join('\n')}`),
    ];
  },
  run: (bytes) => {
    if (bytes.length === 0) return;
    const rest = bytes.subarray(1);
    const file = (bytes[0]! & 1) === 1 ? summed(rest.toString('utf8')) : rest;
    const content = attempt(() => decodeJournal(file, 'ownership.log'));
    if (content === undefined) return;
    const again = decodeJournal(Buffer.concat(content.records.map(encodeRecord)), 'again');
    must(
      JSON.stringify(again.records) === JSON.stringify(content.records),
      'records change when they are written again',
    );
  },
};
