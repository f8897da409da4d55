// The library's face: what programs, and the CLI, may use. Everything else is the house's own business.
// Importing it loads all of the library but the native addon, which is loaded at its first use.
export { ERROR_CODES, TrmigError, asTrmigError, type ErrorCode, type Facts } from './errors.js';
export { icount, type Icount } from './units.js';
export { version } from './version.js';

// Machines
export {
  Home,
  Machine,
  checkName,
  findQemu,
  findTracer,
  formatSpec,
  importError,
  importLibvirt,
  importQemu,
  loadSpec,
  parseBytes,
  parseSpec,
  profileFindings,
  readImport,
  specText,
  undecided,
  type ImportFinding,
  type Imported,
  type MachinePaths,
  type MachineSpec,
  type MachineState,
  type MachineStatus,
  type MachineSummary,
  type TracerStatus,
} from './machine/index.js';

// Logs and recordings
export {
  RecordingReader,
  decodeSegments,
  diffLogs,
  formatEvent,
  readQemuLog,
  sealSegment,
  statLog,
  type LogDifference,
  type LogEvent,
  type LogStat,
  type RecordingCheck,
  type RecordingManifest,
  type RecordingProblem,
  type Segment,
} from './log/index.js';

export { checkRecording, type WholeCheck } from './forensics/check-recording.js';

// Keys
export { KeyRing } from './keys/index.js';
export { dayOf, type Certificate, type Credentials, type Security, type TrustedHost } from './wire/index.js';

// Migration
export { migrate, type MigrateOptions } from './migrate/migrate.js';
export { receive, type ReceiveOptions, type Receiver } from './migrate/receiver.js';
export type { DestinationResult } from './migrate/destination.js';
export type { SourceResult } from './migrate/source.js';
export type { SourceProgress } from './migrate/metrics.js';
export type { MigrationReport, ReportDivergence } from './migrate/report.js';
export { note, rebuildHome, type Notes } from './migrate/catalog-entries.js';
export { writeReport, type ReportFiles } from './migrate/report-files.js';
export { ship, type ShipOptions, type ShipProgress, type ShipResult } from './migrate/ship.js';
export { receiveRecording, type ShippedRecording } from './migrate/receive-recording.js';
export { recordMachine, type RecordOptions, type RecordProgress, type RecordResult } from './migrate/record.js';
export type { ContinueOptions, ContinueProgress, RecordedLeg } from './migrate/continuation.js';
export { replayRecording, type ReplayOptions, type ReplayProgress, type ReplayResult } from './migrate/replay.js';
export { askDecision } from './migrate/ask.js';
export { choicesFor, resolveMachine, type Choices, type Decision, type Resolution } from './migrate/resolve.js';
export { ownLayers } from './disk/index.js';
export { standingOf, type OwnershipStanding, type Standing } from './migrate/standing.js';

// The host
export { diagnose, type Finding, type FindingLevel } from './doctor/index.js';
