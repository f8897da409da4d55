// disks.json, as this host wrote it or another sends it.
import { isDeepStrictEqual } from 'node:util';
import { formatDisks, parseDisks, type MachineDisk } from '../../../src/machine/disks-file.js';
import { attempt, must, type Target } from '../target.js';

const id = (n: number): string => `1f0e7a52-8c6d-4b6e-8f27-5a4d3c2b1a${String(n).padStart(2, '0')}`;

const disks: readonly MachineDisk[] = [
  {
    spec: { file: '/vm/a.qcow2', format: 'qcow2', readonly: false, shared: false },
    readonly: false,
    layers: [
      {
        id: id(1),
        file: '/vm/a.qcow2',
        format: 'qcow2',
        includes: [id(2)],
        origin: 'spec',
        shared: false,
        frozen: { bytes: 4096, digest: '00'.repeat(16), mtimeNs: '17' },
      },
      { id: id(3), file: '/vm/b.qcow2', format: 'qcow2', includes: [], origin: 'made', shared: false },
    ],
  },
  {
    spec: { file: '/vm/c.raw', format: 'raw', readonly: true, shared: true },
    readonly: true,
    left: true,
    layers: [{ id: id(4), file: '/vm/c.raw', format: 'raw', includes: [], origin: 'spec', shared: true }],
  },
];

export const target: Target = {
  seeds: () => [
    Buffer.from(formatDisks(disks)),
    Buffer.from(formatDisks([])),
    Buffer.from(formatDisks(disks.slice(1))),
  ],
  run: (bytes) => {
    const parsed = attempt(() => parseDisks(bytes.toString('utf8'), 'disks.json'));
    if (parsed === undefined) return;
    must(
      isDeepStrictEqual(parseDisks(formatDisks(parsed), 'again'), parsed),
      'disks change when they are written again',
    );
  },
};
