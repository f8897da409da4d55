// One error root for everything trmig reports to a person or a program. A code is stable: scripts match it, so a code is
// never reused for another meaning. The message says what happened and why; the hint is what mends it.

/** How a program may react: `retry` as it is, `fix` something first, or report a `bug`. */
export type Recovery = 'retry' | 'fix' | 'bug';

interface CodeInfo {
  readonly summary: string;
  readonly hint: string;
  readonly exit: number;
  readonly recovery: Recovery;
}

const code = (summary: string, hint: string, exit = 1, recovery: Recovery = 'fix'): CodeInfo => ({
  summary,
  hint,
  exit,
  recovery,
});

/** Every code trmig can report. docs/errors.md lists the same codes; a test compares the two. */
export const ERROR_CODES = {
  E_ABORTED: code('The operation was cancelled', 'Run it again.', 130, 'retry'),
  E_INTERNAL: code('trmig met a state it should not be in', 'Please report this with the command you ran.', 70, 'bug'),
  E_USAGE: code('The command line is not right', 'Check what was typed.', 2),
  E_WIRE_GARBAGE: code(
    "What came over the connection is not trmig's protocol",
    'Check that the address and port are those of a trmig.',
    76,
  ),
  E_WIRE_OVERSIZE: code('A frame is larger than trmig accepts', 'Check that both hosts run an unmodified trmig.', 76),
  E_WIRE_CHECKSUM: code(
    'A frame was damaged on its way',
    'Try again; if it repeats, check the network between the hosts.',
    76,
    'retry',
  ),
  E_WIRE_VERSION: code('The two hosts have no protocol version in common', 'Install the same trmig on both hosts.', 76),
  E_PEER_GONE: code(
    'The connection to the other host broke',
    'Check the other host and the network, then try again.',
    69,
    'retry',
  ),
  E_LINK_GONE: code(
    'The connection to the other host was lost, and was not made again in time',
    'Look at the network between the hosts, then run the command again; `--reconnect` has it wait longer.',
    69,
    'retry',
  ),
  E_PEER_REFUSED: code('The other host refused', 'Read the reason it gave.', 69),
  E_CONNECT: code(
    'The other host cannot be reached',
    'Check the address, the port and that trmig is running there.',
    69,
    'retry',
  ),
  E_LISTEN: code('trmig cannot listen on that address', 'Choose another port or address.', 69),
  E_TLS: code(
    'One side encrypts the connection, the other does not, or they could not agree how',
    'Say --plaintext on both sides or on neither.',
    76,
  ),
  E_UNTRUSTED: code(
    'A host showed a key that the other one does not trust',
    'On the host that is to be trusted: trmig keys show | ssh OTHER trmig keys trust -',
    77,
  ),
  E_KEY_EXPIRED: code(
    "A host's key has expired",
    'On that host: trmig keys init --renew; trmig keys show | ssh OTHER trmig keys trust - --replace',
    77,
  ),
  // keys
  E_KEYS_MISSING: code('This host has no key yet', 'Make it: trmig keys init', 78),
  E_KEYS: code('The keys cannot be used', 'Read the reason in the message; docs/cli.md shows `trmig keys`.', 78),
  E_TRACER_FRAME: code(
    "The tracer's log stream is not well formed",
    'Check that tracer and trmig are of one build.',
    1,
    'bug',
  ),
  E_LOG_EVENT: code('A replay log holds bytes that no supported QEMU writes', 'Get an undamaged copy of the log.'),
  E_LOG_SEGMENT: code(
    'A log segment is not what its header says',
    'Get an undamaged copy, or start the transfer again.',
  ),
  E_RECORDING_MISSING: code('This is not a recording', 'Give the directory that holds manifest.trm.'),
  E_RECORDING_EXISTS: code('A recording is there already', 'Choose another directory.'),
  E_RECORDING_BUSY: code('A recording is being written', 'Wait until its writer has ended.', 1, 'retry'),
  E_RECORDING_DAMAGED: code('A recording is damaged', 'Copy it again; `trmig verify` lists all that is wrong.'),
  E_RECORDING_FORMAT: code('A recording is of a format that this trmig does not know', 'Read it with a newer trmig.'),
  E_RECORDING_UNREADY: code(
    'A recording has no complete checkpoint',
    'Wait until its RAM image is written, or make another.',
    1,
    'retry',
  ),
  E_RECORDING_POSITION: code('A recording does not reach that far', 'Choose a position that it holds.', 2),
  E_RECORDING_HELD: code(
    'A recording may not go live: its machine goes on elsewhere',
    'Add --fork to run it as a new machine.',
  ),
  E_DISK_FULL: code('The disk is full', 'Free some space, or choose another directory.'),
  E_FILE_ACCESS: code('A file could not be read or written', 'Check the path and its permissions.'),
  // machine: the spec and its profile
  E_SPEC: code('The machine spec is not valid', 'Mend the fields it names; docs/spec.md describes every field.', 2),
  E_PROFILE: code('The machine cannot be replayed as specified', 'Change the fields it names to what it suggests.', 2),
  E_IMPORT: code(
    'A machine could not be taken over as it is',
    'Decide about what it lists, and write that into the spec; docs/spec.md describes every field.',
  ),
  E_MACHINE_NAME: code('The machine name is not allowed', 'Use [a-z0-9][a-z0-9._-]{0,62}.', 2),
  // machine: the state directory and QEMU
  E_HOME: code('The state directory cannot be used', 'Set TRMIG_HOME to a directory that you own and can write.'),
  E_SOCKET_PATH: code(
    'A socket path is too long',
    'Set TRMIG_HOME to a shorter path, or give the machine a shorter name.',
  ),
  E_MACHINE_EXISTS: code('A machine of that name runs already', 'Stop it first, or choose another name.'),
  E_MACHINE_UNKNOWN: code('There is no machine of that name', 'List the machines of this host with `trmig ls`.'),
  E_MACHINE_STOP: code('The machine does not end', 'Look at the process that the message names.'),
  E_MACHINE_DEAD: code('The machine does not run (any more)', 'Start it again; its qemu.log says how it ended.'),
  E_QEMU_NOT_FOUND: code('No QEMU was found', 'Run scripts/setup.sh, or set TRMIG_QEMU to a QEMU 10.0 binary.'),
  E_QEMU_VERSION: code('QEMU has the wrong version', 'Run scripts/setup.sh, or set TRMIG_QEMU to a QEMU 10.0 binary.'),
  E_QEMU_START: code('QEMU did not start', 'Read what QEMU said; the full text is in the qemu.log it names.'),
  E_TRACER_MISSING: code('The tracer is not built', 'Run `make`, or set TRMIG_TRACER to a trmig-tracer.so.'),
  // machine: the monitor (QMP)
  E_QMP_CONNECT: code('The QMP socket does not answer', 'Look at the machine with `trmig status`.', 1, 'retry'),
  E_QMP_CLOSED: code('QEMU closed the QMP connection', 'Look at the machine with `trmig status`.', 1, 'retry'),
  E_QMP_TIMEOUT: code(
    'QEMU did not answer in time',
    'Whether the command took effect is not known: ask for the state.',
    1,
    'retry',
  ),
  E_QMP_COMMAND: code('QEMU refused a command', "Read QEMU's reason in the message."),
  E_QMP_PROTOCOL: code(
    'QEMU sent something that is not QMP',
    'Check that the socket is a QMP socket of QEMU 10.0.',
    1,
    'bug',
  ),
  // machine: the tracer
  E_TRACER_CONNECT: code("The tracer's socket does not answer", 'Look at the machine with `trmig status`.', 1, 'retry'),
  E_TRACER_CLOSED: code('The tracer closed the connection', 'Look at the machine with `trmig status`.', 1, 'retry'),
  E_TRACER_TIMEOUT: code(
    'The tracer did not answer in time',
    'Whether the command took effect is not known: ask for its status.',
    1,
    'retry',
  ),
  E_TRACER_PROTOCOL: code(
    'The tracer sent something outside its protocol',
    'Use the tracer of the same trmig version: stop the machine and start it again.',
    1,
    'bug',
  ),
  E_TRACER_BAD_REQUEST: code(
    'The tracer refused a malformed request',
    'Please report this with the command you ran.',
    1,
    'bug',
  ),
  E_TRACER_UNKNOWN_COMMAND: code(
    'The tracer does not know the command',
    'It is of an older trmig: stop the machine and start it again.',
  ),
  E_TRACER_WRONG_MODE: code('The tracer is in the wrong mode', 'Look at the machine with `trmig status`.'),
  E_TRACER_NOT_STOPPED: code('The guest must be stopped for that', 'Look at the machine with `trmig status`.'),
  E_TRACER_NO_STREAM: code(
    'The tracer has no such stream',
    'Open the stream before the command that uses it.',
    1,
    'bug',
  ),
  E_TRACER_FAILED: code(
    'The tracer could not do it',
    "Read the tracer's reason in the message; qemu.log may say more.",
  ),
  // catalog
  E_CATALOG: code('The catalog cannot be used', 'Check the file it names; `trmig catalog rebuild` makes it anew.'),
  E_CATALOG_NEWER: code(
    'The catalog was written by a newer trmig',
    'Use that trmig, or set TRMIG_HOME to another directory.',
  ),
  E_CATALOG_CORRUPT: code(
    'The catalog is damaged',
    'Run `trmig catalog rebuild`: it is only an index of what is on disk.',
  ),
  E_CATALOG_BUSY: code('The catalog is locked by another process', 'Run it again.', 1, 'retry'),
  E_NATIVE: code('The native part of trmig cannot be loaded', 'Build it: npx node-gyp configure build -C native/addon'),
  E_IMAGE_READ: code(
    "A machine's memory cannot be read",
    'Check that its QEMU still runs and that trmig may read it.',
    74,
    'retry',
  ),
  E_IMAGE_WRITE: code(
    "A machine's memory cannot be written",
    'Check that its QEMU still runs and that trmig may write it.',
    74,
    'retry',
  ),
  E_IMAGE_DAMAGED: code('A RAM image is damaged', 'Copy it again from where it was made.', 65),
  E_IMAGE_NEWER: code(
    'A RAM image was made by a newer trmig',
    'Use a trmig at least as new as the one that made it.',
    65,
  ),
  E_IMAGE_MISMATCH: code('A RAM image is of another machine', 'Start the destination from the same machine spec.', 65),
  E_FILES_REFUSED: code(
    'A machine from another host names a file that it may not',
    'Start the receiver with --files and the folder of that file, if the machine may have it.',
    65,
  ),
  // disks
  E_DISKS: code(
    "The record of a machine's disks does not hold",
    'Look at disks.json in the folder of the machine; docs/disks.md describes it.',
  ),
  E_QEMU_IMG: code('qemu-img could not do it', "Read qemu-img's reason in the message."),
  E_LAYER_REFUSED: code(
    'A disk layer is not of a kind that trmig accepts',
    'Convert the disk with qemu-img to a plain qcow2 or raw image.',
    65,
  ),
  E_LAYER_DAMAGED: code('A disk layer is damaged', 'Copy it again from where it was made.', 65, 'retry'),
  E_DISK_JOB: code('Merging disk layers failed', 'The disk is as it was before; try again.', 1, 'retry'),
  E_TOO_LATE: code('The migration cannot be cancelled any more', 'Wait for its end; `trmig status` says where it is.'),
  E_ILLEGAL_EVENT: code(
    'Something happened that has no place in this phase',
    'Please report this with the command you ran.',
    70,
    'bug',
  ),
  E_DIVERGED: code(
    'The destination did not replay to the same state',
    'The machine goes on at its source. CONTRIBUTING.md says how to find out what differs.',
    1,
    'retry',
  ),
  E_GUEST_OFF: code('The guest has powered itself off', 'Start it again with `trmig run` and its spec.'),
  E_GUEST_STOPPED: code(
    'Somebody else has stopped the guest',
    'It stands still where it ran. Let it go on (`cont` in its monitor), then migrate again.',
  ),
  E_JOURNAL_DAMAGED: code(
    'The ownership journal is damaged',
    'Do not edit it. See on the other host who has the machine; `trmig rm --force` forgets it here.',
    74,
  ),
  E_JOURNAL_WRITE: code(
    'The ownership journal could not be written, and was not',
    'Free space on the disk of the state directory.',
    74,
    'retry',
  ),
  E_JOURNAL_UNCERTAIN: code(
    'Nobody can tell whether the ownership journal was written',
    'Check the disk, then run `trmig resolve`.',
    74,
  ),
  E_UNSETTLED: code(
    'An earlier migration of this machine is not settled',
    'Run `trmig resolve` for this machine first.',
  ),
  E_RESOLVE: code(
    'The migration cannot be settled this way',
    'Run `trmig resolve` without a flag: it says what can be decided.',
  ),
  E_LOG_LOST: code('The log was lost', 'Migrate again; the guest runs where it ran.', 1, 'retry'),
  E_LOG_SPOOL: code(
    'The log outgrew what the destination keeps',
    'Use a faster link, or move the guest while it does less.',
  ),
  E_LEASE: code('The guest was stopped for too long and goes on', 'Migrate again.', 1, 'retry'),
  E_BUSY: code('The machine is in the middle of something', 'Look at it with `trmig status`.', 1, 'retry'),
  E_NO_ROOM: code('This host has too little memory for the guest', 'Free some memory, or choose another host.'),
  E_NOT_CONVERGED: code(
    'The destination did not catch up in time',
    'Allow more --timeout or --max-downtime, or --on-timeout switch.',
  ),
  E_STALLED: code(
    "The destination's replay stood still",
    'The guest goes on where it ran. See what holds up the other host, then migrate again.',
    1,
    'retry',
  ),
  E_MACHINE_GONE: code('The QEMU of the machine is gone', 'Its qemu.log says how it ended.'),
} as const satisfies Record<string, CodeInfo>;

export type ErrorCode = keyof typeof ERROR_CODES;
export type Facts = Readonly<Record<string, string | number | boolean | null>>;

export interface ErrorDetails {
  /** What mends it, when it is more exact than the code's own hint. */
  readonly hint?: string;
  /** Values a program may want: paths, offsets, sizes. */
  readonly facts?: Facts;
  readonly cause?: unknown;
}

/** The root of all errors that trmig reports. */
export class TrmigError extends Error {
  readonly code: ErrorCode;
  readonly hint: string;
  readonly facts: Facts;

  constructor(errorCode: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'TrmigError';
    this.code = errorCode;
    this.hint = details.hint ?? ERROR_CODES[errorCode].hint;
    this.facts = details.facts ?? {};
  }

  /** The process exit code that this error stands for. */
  get exitCode(): number {
    return ERROR_CODES[this.code].exit;
  }

  get recovery(): Recovery {
    return ERROR_CODES[this.code].recovery;
  }

  /** The stable JSON form that `--json` prints. */
  toJSON(): { code: ErrorCode; message: string; hint: string; facts: Facts } {
    return { code: this.code, message: this.message, hint: this.hint, facts: this.facts };
  }
}

/** Turns anything thrown into a TrmigError; an unknown one becomes E_INTERNAL, an AbortError E_ABORTED. */
export function asTrmigError(thrown: unknown): TrmigError {
  if (thrown instanceof TrmigError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  if (thrown instanceof Error && thrown.name === 'AbortError') {
    return new TrmigError('E_ABORTED', message, { cause: thrown });
  }
  return new TrmigError('E_INTERNAL', message, { cause: thrown });
}

/**
 * A cancelled operation ends in one error, whatever was given to the signal as its reason.
 * @param what what was cancelled, for the message
 * @throws TrmigError E_ABORTED (or the signal's reason, if that is a TrmigError) when `signal` is aborted
 */
export function throwIfAborted(signal: AbortSignal | undefined, what: string): void {
  if (!signal?.aborted) return;
  const reason: unknown = signal.reason;
  if (reason instanceof TrmigError) throw reason;
  throw new TrmigError('E_ABORTED', `${what}: cancelled`, { cause: reason });
}
