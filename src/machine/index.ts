// What the floors above may use of src/machine.
export { qemuArguments } from './arguments.js';
export type { RawEvent, RequestOptions } from './control.js';
export { Home, checkName, checkSocketPath, machineNamePattern, type MachinePaths } from './home.js';
export { Machine, type MachineState, type MachineStatus, type MachineSummary, type StartOptions } from './machine.js';
export { formatBytes, parseBytes } from './memory.js';
export { inspectProcess, isAlive, readIdentity, writeIdentity, type ProcessIdentity } from './process.js';
export { assertProfile, profileFindings, workingStrategies, type ProfileFinding } from './profile.js';
export { findQemu, type FoundQemu } from './qemu.js';
export { QmpClient, type QemuVersion } from './qmp.js';
export { chooseShift, shiftDefault } from './shift.js';
export * from './spec.js';
export { withStartLock } from './start-lock.js';
export { findTracer } from './tracer-path.js';
export type * from './tracer-replies.js';
export type { TracerEventQueue, TracerEvents } from './tracer-events.js';
export { TracerClient, type ArmArguments } from './tracer.js';
