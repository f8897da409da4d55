// The log file that a stock QEMU writes with `-icount rr=record,rrfile=…`: 12 bytes of header, events, END. Read here so that
// such logs can be dumped, counted and compared; written here so that a stock QEMU can replay what trmig recorded.
import { TrmigError } from '../errors.js';
import { EventCode, qemuLogHeaderBytes, qemuLogVersion } from './event-codes.js';
import { measureEvent } from './scan.js';

export interface QemuLog {
  /** The events, without END. */
  readonly payload: Buffer;
  /** Whether END was there: QEMU writes it when it ends in order. */
  readonly ended: boolean;
}

/**
 * Reads the bytes of a stock log. A log that ends between two events without END is of a QEMU that was killed.
 * @throws TrmigError E_LOG_EVENT (facts: offset in the payload) for another version's file or bytes that are no events.
 */
export function readQemuLog(file: Buffer): QemuLog {
  if (file.length < qemuLogHeaderBytes) throw refuse('it is too short to have a header');
  const version = file.readUInt32BE(0);
  // QEMU writes the version when it ends: zero stands in the file of one that was killed.
  if (version !== qemuLogVersion && version !== 0) throw refuse(`its version is 0x${version.toString(16)}`);
  const bytes = file.subarray(qemuLogHeaderBytes);
  let at = 0;
  while (at < bytes.length && bytes[at] !== EventCode.end) at += measureEvent(bytes, at);
  if (at + 1 < bytes.length) throw refuse(`${bytes.length - at - 1} bytes follow its END`);
  return { payload: bytes.subarray(0, at), ended: at < bytes.length };
}

/** The bytes of a log file that a stock QEMU replays. */
export function writeQemuLog(payload: Uint8Array): Buffer {
  const header = Buffer.alloc(qemuLogHeaderBytes);
  header.writeUInt32BE(qemuLogVersion, 0);
  return Buffer.concat([header, payload, Uint8Array.of(EventCode.end)]);
}

function refuse(why: string): TrmigError {
  return new TrmigError('E_LOG_EVENT', `this is not a replay log of QEMU 7.2 to 10.0: ${why}`);
}
