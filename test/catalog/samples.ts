import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Test } from 'tap';
import { SqliteCatalog, type MachineRow, type MigrationRow, type RecordingEntry } from '../../src/catalog/index.js';

export function temporaryFile(t: Test): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'trmig-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return path.join(folder, 'state', 'catalog.db');
}

export function openCatalog(t: Test, file = temporaryFile(t)): SqliteCatalog {
  const catalog = new SqliteCatalog(file);
  t.teardown(() => catalog.close());
  return catalog;
}

export const machine: MachineRow = {
  name: 'web',
  specJson: '{"name":"web"}',
  ownership: 'here',
  peer: null,
  updatedMs: 1,
};

export const migration: MigrationRow = {
  id: 'm1',
  machine: 'web',
  direction: 'out',
  peer: 'host-b:7400',
  strategy: 'trace',
  startedMs: 10,
  endedMs: null,
  outcome: null,
  downtimeNs: null,
  errorCode: null,
  reportFile: null,
};

export const entry: RecordingEntry = {
  recording: {
    id: 'r1',
    machine: 'web',
    folder: '/recordings/r1',
    state: 'complete',
    createdMs: 5,
    bytes: 1000,
    instructions: 3000,
    virtualNs: 6000,
    events: 70,
  },
  checkpoints: [0, 1000, 2000].map((icount) => ({ icount, folder: `checkpoints/${icount}`, bytes: 10, createdMs: 5 })),
  segments: [
    { seqFirst: 0, seqLast: 9, icountFrom: 0, icountTo: 1500, file: 'log/0', bytes: 100 },
    { seqFirst: 10, seqLast: 19, icountFrom: 1500, icountTo: 3000, file: 'log/1', bytes: 100 },
  ],
};
