// What the floors above may use of src/machine.
export { qemuArguments } from './arguments.js';
export type { RawEvent, RequestOptions } from './control.js';
export {
  formatNode,
  layerFileNode,
  layerNode,
  layerNodes,
  replayNode,
  topLayer,
  type DiskChain,
  type FrozenFile,
  type Layer,
} from './disk-chain.js';
export { formatDisks, parseDisks, readDisks, readStart, writeDisks, type MachineDisk } from './disks-file.js';
export { Home, checkName, checkSocketPath, machineNamePattern, type MachinePaths } from './home.js';
export * from './import/index.js';
export { qemuLogTail } from './launch.js';
export { takeLock } from './lock-file.js';
export { Machine, type MachineState, type MachineStatus, type MachineSummary, type StartOptions } from './machine.js';
export { formatBytes, parseBytes } from './memory.js';
export { inspectProcess, isAlive, readIdentity, writeIdentity, type ProcessIdentity } from './process.js';
export { assertMovable, assertProfile, profileFindings, workingStrategies, type ProfileFinding } from './profile.js';
export { candidates, findQemu, isVersion, type FoundQemu } from './qemu.js';
export { parseQcow2Header, type Qcow2Header } from './qcow2-header.js';
export { QmpClient, type QemuVersion } from './qmp.js';
export { chooseShift, shiftDefault } from './shift.js';
export { parseForeignSpec } from './foreign-spec.js';
export * from './spec.js';
export { diskOfSpec } from './start-disks.js';
export { withStartLock } from './start-lock.js';
export { findTracer } from './tracer-path.js';
export type * from './tracer-replies.js';
export type { TracerEventQueue, TracerEvents } from './tracer-events.js';
export { TracerClient, type ArmArguments } from './tracer.js';
