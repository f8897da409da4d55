// The disks of a machine: layers, how they are frozen, shipped, put together, kept and merged. docs/disks.md is the overview.
export { attachLayers } from './attach.js';
export { contentDigest, exportDisk, saveDisk } from './content.js';
export {
  cancelFlatten,
  finishFlatten,
  flattenPlan,
  startFlatten,
  type FlattenOptions,
  type FlattenProgress,
} from './flatten.js';
export {
  arrivingDisk,
  commonBeginning,
  filesBeside,
  keptLayers,
  leaveDisks,
  ownLayers,
  recordFrozen,
  removeGarbage,
  type CommonBeginning,
} from './kept.js';
export { checkLayerChunk, type LayerChunk, type LayerDigest } from './layer-chunk.js';
export { LayerReader, digestLayer, type LayerProgress, type LayerReadOptions } from './layer-reader.js';
export { LayerWriter, checkReceivedLayer } from './layer-writer.js';
export {
  makeLayerFolder,
  newTopLayer,
  prepareOverlays,
  snapshot,
  undo,
  type OverlayOptions,
  type OverlayPlan,
} from './overlay.js';
export { presync } from './presync.js';
export { createOverlay, findQemuImg, virtualBytes } from './qemu-img.js';
export { checkSharedLayers } from './offered-paths.js';
export { reconcile, type Reconciled } from './reconcile.js';
