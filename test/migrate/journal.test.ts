import { mkdtemp, readFile, rm, stat, utimes, writeFile, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { TrmigError } from '../../src/errors.js';
import {
  OwnershipJournal,
  decodeJournal,
  encodeRecord,
  readJournal,
  readSyncedJournal,
} from '../../src/migrate/journal.js';
import type { JournalFile, OwnershipRecord } from '../../src/migrate/journal.js';
import { answerFrom, currentOwner, isSettled, nextEpoch, recover, replyToCommit } from '../../src/migrate/ownership.js';

const common = { migrationId: 'm', epoch: 1, peer: 'blue:7070', time: '2026-01-01T00:00:00Z' };
const source = (state: Extract<OwnershipRecord, { role: 'source' }>['state']): OwnershipRecord => {
  return { ...common, role: 'source', state };
};
const destination = (state: Extract<OwnershipRecord, { role: 'destination' }>['state']): OwnershipRecord => {
  return { ...common, role: 'destination', state };
};

const folders: string[] = [];
t.teardown(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))));

async function journalPath(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'trmig-journal-'));
  folders.push(folder);
  return join(folder, 'ownership.log');
}

const codeOf = async (run: () => unknown): Promise<string> => {
  try {
    await run();
    return 'none';
  } catch (error) {
    return error instanceof TrmigError ? error.code : String(error);
  }
};

/** A file whose calls can be made to fail. */
function failing(faults: Partial<Record<'write' | 'erase' | 'datasync', boolean>>) {
  return (file: FileHandle): JournalFile => {
    const fail = (name: string): never => {
      throw Object.assign(new Error(`${name}: no space left`), { code: 'ENOSPC' });
    };
    return {
      read: file.read.bind(file),
      write: (async (bytes: Buffer, offset: number, length: number, position: number) => {
        const erases = bytes.every((byte) => byte === 0);
        if (erases && faults.erase === true) fail('erase');
        if (!erases && faults.write === true) {
          await file.write(bytes, 0, 9, position);
          fail('write');
        }
        return file.write(bytes, offset, length, position);
      }) as FileHandle['write'],
      datasync: async () => (faults.datasync === true ? fail('datasync') : file.datasync()),
      stat: (() => file.stat()) as FileHandle['stat'],
      close: () => file.close(),
    };
  };
}

async function opened(t: Test, path: string, wrap?: (file: FileHandle) => JournalFile): Promise<OwnershipJournal> {
  const journal = await OwnershipJournal.open(path, wrap);
  t.teardown(() => journal.close());
  return journal;
}

t.test('what is appended is there after reopening', async (t) => {
  const path = await journalPath();
  const journal = await opened(t, path);
  await journal.append(source('recording'));
  await journal.append(source('relinquished'));
  t.strictSame((await opened(t, path)).records, [source('recording'), source('relinquished')]);
  t.strictSame((await readJournal(path)).records, journal.records);
  t.strictSame((await readJournal(`${path}.none`)).records, [], 'no file is an empty journal');
});

t.test('a torn last record is dropped wherever it was cut, and cut off before the next one', async (t) => {
  const whole = encodeRecord(source('recording'));
  const last = encodeRecord(source('relinquished'));
  for (let cut = 1; cut < last.length - 1; cut++) {
    const content = decodeJournal(Buffer.concat([whole, last.subarray(0, cut)]), 'x');
    if (content.records.length !== 1 || content.tornBytes !== cut) t.fail(`cut at ${cut}`);
    const hole = Buffer.concat([whole, last.subarray(0, cut), Buffer.alloc(last.length - cut)]);
    if (decodeJournal(hole, 'x').records.length !== 1) t.fail(`a hole from ${cut} on`);
  }
  const path = await journalPath();
  await writeFile(path, Buffer.concat([whole, last.subarray(0, 30)]));
  await (await opened(t, path)).append(source('returned'));
  t.strictSame((await readJournal(path)).records, [source('recording'), source('returned')]);
});

t.test('damage anywhere else decides nothing: it is refused with file and offset', async (t) => {
  const lines = [source('recording'), source('draining'), source('relinquished')].map(encodeRecord);
  const bytes = Buffer.concat(lines);
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const damaged = Buffer.from(bytes);
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    const code = await codeOf(() => decodeJournal(damaged, 'x'));
    if (code !== 'E_JOURNAL_DAMAGED') t.fail(`bit ${bit}: ${code}`);
  }
  const unended = bytes.subarray(0, -1);
  t.equal(await codeOf(() => decodeJournal(unended, 'x')), 'E_JOURNAL_DAMAGED', 'a whole record is never dropped');
  const twice = Buffer.concat([lines[0]!, lines[1]!.subarray(0, 20), lines[2]!]);
  t.equal(await codeOf(() => decodeJournal(twice, 'x')), 'E_JOURNAL_DAMAGED', 'a torn middle');
  const path = await journalPath();
  await writeFile(path, twice);
  const error = await OwnershipJournal.open(path).catch((thrown: unknown) => thrown);
  t.match(error, { code: 'E_JOURNAL_DAMAGED', facts: { path, offset: lines[0]!.length } });
  t.strictSame(await readFile(path), twice, 'and it was left as it is');
});

t.test('a full disk leaves the journal as it was, and a later append works', async (t) => {
  const path = await journalPath();
  const faults = { write: true };
  const journal = await opened(t, path, failing(faults));
  t.equal(await codeOf(() => journal.append(source('recording'))), 'E_JOURNAL_WRITE');
  t.strictSame(await readJournal(path), { records: [], wholeBytes: 0, tornBytes: 0 });
  faults.write = false;
  await journal.append(source('recording'));
  t.strictSame((await readJournal(path)).records, [source('recording')]);
});

t.test('a failed sync is never called written nor unwritten, and ends the journal', async (t) => {
  const faults = { datasync: true };
  const journal = await opened(t, await journalPath(), failing(faults));
  t.equal(await codeOf(() => journal.append(source('relinquished'))), 'E_JOURNAL_UNCERTAIN');
  faults.datasync = false;
  t.equal(await codeOf(() => journal.append(source('returned'))), 'E_JOURNAL_UNCERTAIN', 'even when the disk recovers');
  const both = await opened(t, await journalPath(), failing({ write: true, erase: true }));
  t.equal(await codeOf(() => both.append(source('recording'))), 'E_JOURNAL_UNCERTAIN');
});

t.test('a rehearsal leaves no trace', async (t) => {
  const path = await journalPath();
  const journal = await opened(t, path);
  await journal.append(source('recording'));
  const before = await readFile(path);
  await journal.rehearse();
  t.strictSame(await readFile(path), before);
  await journal.append(source('returned'));
  t.strictSame((await readJournal(path)).records, [source('recording'), source('returned')]);
});

t.test('a record of which only the end came to the disk is dropped', async (t) => {
  const path = await journalPath();
  const last = encodeRecord(source('relinquished'));
  const hole = Buffer.concat([
    encodeRecord(source('recording')),
    Buffer.alloc(40),
    last.subarray(40),
    Buffer.alloc(64),
  ]);
  await writeFile(path, hole);
  const journal = await opened(t, path);
  t.strictSame(journal.records, [source('recording')]);
  await journal.append(source('returned'));
  t.strictSame((await readJournal(path)).records, [source('recording'), source('returned')]);
});

t.test('what is read to be promised is written once more, and is what it was', async (t) => {
  const path = await journalPath();
  t.same(await readSyncedJournal(path), [], 'no journal is none');
  const journal = await opened(t, path);
  await journal.append(source('recording'));
  await journal.append(source('relinquished'));
  for (const again of [() => readSyncedJournal(path), async () => (await opened(t, path)).records]) {
    const before = await readFile(path);
    await utimes(path, 0, 0);
    t.strictSame(await again(), [source('recording'), source('relinquished')]);
    t.ok((await stat(path)).mtimeMs > 0, 'a sync that failed before is made good');
    t.strictSame(await readFile(path), before);
  }
  await journal.append(source('retired'));
  t.equal((await readSyncedJournal(path)).length, 3, 'and its writer goes on');
});

t.test('a second writer is noticed', async (t) => {
  const path = await journalPath();
  const journal = await opened(t, path);
  await (await opened(t, path)).append(source('returned'));
  t.equal(await codeOf(() => journal.append(source('relinquished'))), 'E_JOURNAL_WRITE');
});

t.test('the last record says who owns the machine, whether it is settled and what to answer', (t) => {
  const rows = [
    [[], 'here', true, 'unknown', null],
    [[source('recording')], 'here', false, 'unknown', null],
    [[source('draining')], 'here', false, 'unknown', null],
    [[source('relinquished')], 'there', false, 'destination', null],
    [[source('relinquished'), source('reclaimed')], 'here', false, 'unknown', null],
    [[source('returned')], 'here', true, 'source', null],
    [[source('retired')], 'there', true, 'destination', null],
    [[destination('replaying')], 'there', false, 'unknown', null],
    [[destination('owner')], 'here', false, 'unknown', null],
    [[destination('live')], 'here', true, 'destination', 'live'],
    [[destination('declined')], 'there', true, 'source', 'declined'],
    [[destination('discarded')], 'there', true, 'source', 'declined'],
  ] as const;
  for (const [records, owner, settled, answer, reply] of rows) {
    const name = records.at(-1)?.state ?? 'nothing';
    t.equal(currentOwner(records), owner, name);
    t.equal(isSettled(records), settled, name);
    t.equal(answerFrom(records, 'm'), answer, name);
    t.equal(replyToCommit(records, 'm'), reply, name);
  }
  t.equal(answerFrom([source('retired')], 'other'), 'unknown', 'of another migration it knows nothing');
  t.equal(
    nextEpoch([
      { ...source('retired'), epoch: 4 },
      { ...destination('live'), epoch: 5 },
    ]),
    6,
  );
  t.end();
});

t.test('a restarted host goes on where its journal and its QEMU say', (t) => {
  const rows = [
    [source('returned'), 'running', null, []],
    [source('recording'), 'running', 'returning', ['giveBack']],
    [source('recording'), 'gone', 'failed', ['journal']],
    [source('draining'), 'stopped', 'returning', ['giveBack']],
    [source('draining'), 'fenced', 'returning', ['giveBack']],
    [source('draining'), 'gone', 'unresolved', []],
    [source('relinquished'), 'fenced', 'relinquished', ['redial']],
    [source('relinquished'), 'gone', 'relinquished', ['redial']],
    [source('relinquished'), 'running', 'unresolved', []],
    [source('reclaimed'), 'fenced', 'returning', ['giveBack']],
    [destination('replaying'), 'replaying', 'discarded', ['discard', 'journal']],
    [destination('replaying'), 'final', 'asking', ['ask']],
    [destination('replaying'), 'gone', 'asking', ['ask']],
    [destination('owner'), 'final', 'owner', ['goLive']],
    [destination('owner'), 'running', 'live', ['journal']],
    [destination('owner'), 'gone', 'unresolved', []],
  ] as const;
  for (const [record, machine, at, effects] of rows) {
    const recovery = recover([record], machine);
    const name = `${record.role} ${record.state}, QEMU ${machine}`;
    t.equal(recovery?.next.phase.at ?? null, at, name);
    t.strictSame(recovery?.next.effects.map((effect) => effect.do) ?? [], effects, name);
  }
  t.end();
});
