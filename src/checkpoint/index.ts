// The RAM half of a checkpoint: captured from a frozen image, stored in a file, restored into a waiting QEMU.

export {
  checkChunk,
  checkSameBlocks,
  decodeChunk,
  encodeChunk,
  type ImageBlock,
  type ImageChunk,
  type ImageProcess,
} from './chunk.js';
export { captureImage, type CaptureOptions, type CaptureProgress } from './capture.js';
export { clearTarget, restoreChunk, restoreImage, type RestoreProgress } from './restore.js';
export { ImageWriter, writeImage, type ImageSummary } from './image-writer.js';
export { InFlight } from './in-flight.js';
export { ImageReader } from './image-reader.js';
export type { IndexEntry, StoredBlock } from './image-format.js';
