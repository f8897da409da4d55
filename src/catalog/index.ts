// What the floors above may use of src/catalog.
export type { Catalog, CatalogContent } from './catalog.js';
export { rebuildCatalog, type RebuildReport, type Scan, type Scanners, type ScanProblem } from './rebuild.js';
export type { CheckpointRow, MachineRow, MigrationRow, RecordingEntry, RecordingRow, SegmentRangeRow } from './rows.js';
export { SqliteCatalog } from './sqlite-catalog.js';
