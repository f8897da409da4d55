// What the rest of trmig may use of the importers.
export type { ImportFinding, ImportOptions, Imported, SpecFields, Verdict } from './finding.js';
export { importLibvirt, type LibvirtOptions } from './from-libvirt.js';
export { importQemu } from './from-qemu.js';
export { importError, undecided } from './judge.js';
export { readImport } from './read-import.js';
export { specText } from './spec-text.js';
