// The face of the log: events, segments, their codecs, recordings, and what can be asked about them.
export * from './codec.js';
export * from './decoder.js';
export * from './diff.js';
export * from './event.js';
export { EventCode, eventNames } from './event-codes.js';
export { digestFile, type DigestOptions, type FileDigest } from './file-digest.js';
export { formatEvent } from './format-event.js';
export type { StoredSegment } from './log-file.js';
export { digestLog } from './log-digest.js';
export {
  type EndDigests,
  type PartRole,
  type RecordedBlock,
  type RecordingFacts,
  type RecordingManifest,
  type RecordingPart,
  type RecordingStatus,
} from './manifest.js';
export * from './qemu-log.js';
export { manifestName } from './recording-layout.js';
export { RecordingReader, type SegmentRange } from './recording-reader.js';
export * from './recording-verify.js';
export { RecordingWriter, type WriterOptions } from './recording-writer.js';
export { measureEvent, scanPayload, type PayloadScan } from './scan.js';
export * from './segment.js';
export * from './stat.js';
export * from './tracer-frames.js';
