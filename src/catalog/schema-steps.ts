// The SQLite schema as numbered steps. A step that has shipped is never edited: a change is a new step at the end, and
// the number of steps done is the file's `user_version`.

/** Marks the file as trmig's ("trmg"), so that no other program's database is taken for a catalog. */
export const applicationId = 0x74726d67;

export const schemaSteps: readonly string[] = [
  // 1
  `
  CREATE TABLE machines (
    name TEXT PRIMARY KEY,
    specJson TEXT NOT NULL,
    ownership TEXT NOT NULL CHECK (ownership IN ('here', 'away', 'unresolved')),
    peer TEXT,
    updatedMs INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE recordings (
    id TEXT PRIMARY KEY,
    machine TEXT NOT NULL,
    folder TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'complete', 'damaged')),
    createdMs INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    instructions INTEGER NOT NULL,
    virtualNs INTEGER NOT NULL,
    events INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX recordingsByMachine ON recordings (machine, createdMs);

  CREATE TABLE checkpoints (
    recording TEXT NOT NULL REFERENCES recordings (id) ON DELETE CASCADE,
    icount INTEGER NOT NULL,
    folder TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    createdMs INTEGER NOT NULL,
    PRIMARY KEY (recording, icount)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE segmentRanges (
    recording TEXT NOT NULL REFERENCES recordings (id) ON DELETE CASCADE,
    seqFirst INTEGER NOT NULL,
    seqLast INTEGER NOT NULL CHECK (seqLast >= seqFirst),
    icountFrom INTEGER NOT NULL,
    icountTo INTEGER NOT NULL CHECK (icountTo >= icountFrom),
    file TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (recording, seqFirst)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX segmentRangesByIcount ON segmentRanges (recording, icountFrom);

  CREATE TABLE migrations (
    id TEXT PRIMARY KEY,
    machine TEXT NOT NULL,
    direction TEXT NOT NULL CHECK (direction IN ('out', 'in')),
    peer TEXT NOT NULL,
    strategy TEXT NOT NULL,
    startedMs INTEGER NOT NULL,
    endedMs INTEGER,
    outcome TEXT CHECK (outcome IN ('completed', 'aborted', 'failed', 'unresolved')),
    downtimeNs INTEGER,
    errorCode TEXT,
    reportFile TEXT
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX migrationsByMachine ON migrations (machine, startedMs);
  `,
];
