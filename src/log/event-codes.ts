// The event codes of QEMU 10.0's replay log (version 0xe0200c) and what follows each. The numbers are QEMU's format: they
// are the positions of its enums ReplayEvents, ReplayAsyncEventKind, ShutdownCause, ReplayClockKind and ReplayCheckpoint
// in 10.0.2, written down here so that no other version's order can creep in. native/core/events.c holds the same table
// for the tracer; test/log/scan.test.ts compares the two scanners.

export const EventCode = {
  instruction: 0,
  interrupt: 1,
  exception: 2,
  bh: 3,
  bhOneshot: 4,
  input: 5,
  inputSync: 6,
  charRead: 7,
  block: 8,
  net: 9,
  shutdown: 10,
  shutdownLast: 20,
  charWrite: 22,
  charReadAll: 23,
  charReadAllError: 24,
  audioOut: 25,
  audioIn: 26,
  random: 27,
  clockHost: 28,
  clockVirtualRt: 29,
  checkpoint: 30,
  checkpointLast: 38,
  end: 39,
} as const;

/** Codes are below this. */
export const eventCodeCount = 40;

/** The first four bytes of a log file that QEMU writes, big-endian; eight reserved bytes follow. */
export const qemuLogVersion = 0xe0200c;
export const qemuLogHeaderBytes = 12;

export const shutdownCauses = [
  'none',
  'host-error',
  'host-qmp-quit',
  'host-qmp-system-reset',
  'host-signal',
  'host-ui',
  'guest-shutdown',
  'guest-reset',
  'guest-panic',
  'subsystem-reset',
  'snapshot-load',
] as const;

export const checkpointNames = [
  'clock-warp-start',
  'clock-warp-account',
  'reset-requested',
  'suspend-requested',
  'clock-virtual',
  'clock-host',
  'clock-virtual-rt',
  'init',
  'reset',
] as const;

export const inputButtons = [
  'left',
  'middle',
  'right',
  'wheel-up',
  'wheel-down',
  'side',
  'extra',
  'wheel-left',
  'wheel-right',
  'touch',
] as const;

export const inputAxes = ['x', 'y'] as const;
export const multiTouchTypes = ['begin', 'update', 'end', 'cancel', 'data'] as const;

/** One name for each code, as `log stat` shows it; null for a code that QEMU never writes into a payload. */
export const eventNames: readonly (string | null)[] = [
  'instruction',
  'interrupt',
  'exception',
  'bh',
  'bh-oneshot',
  'input',
  'input-sync',
  'char-read',
  'block',
  'net',
  ...shutdownCauses.map((cause) => `shutdown ${cause}`),
  null, // ShutdownCause's end mark
  'char-write',
  'char-read-all',
  'char-read-all-error',
  'audio-out',
  'audio-in',
  'random',
  'clock-host',
  'clock-virtual-rt',
  ...checkpointNames.map((name) => `checkpoint ${name}`),
  null, // END is not part of a payload
];
