// The addon reports a failed system call as plain data; people get one sentence that says which process and why.

import { TrmigError, type ErrorCode } from '../errors.js';

/** What a rejected promise of the addon carries. */
export interface NativeFailure extends Error {
  readonly errno: number;
  /** The system call, or `zstd`, or `chunk`. */
  readonly call: string;
  /** In the other process; 0 where no address is concerned. */
  readonly address: number;
}

export const ERRNO = { EPERM: 1, ESRCH: 3, ENOMEM: 12, EFAULT: 14, EBADMSG: 74, EILSEQ: 84 } as const;

export function isNativeFailure(thrown: unknown): thrown is NativeFailure {
  return thrown instanceof Error && 'errno' in thrown && 'call' in thrown && 'address' in thrown;
}

/**
 * Turns a failure on process `pid`'s memory into the error to throw.
 * @param whose how a person knows the process: `QEMU's frozen image`, `the destination's QEMU`
 */
export function remoteError(thrown: unknown, code: ErrorCode, pid: number, whose: string): unknown {
  if (!isNativeFailure(thrown)) return thrown;
  const { errno, call, address } = thrown;
  const facts = { pid, errno, call, address };
  const at = `0x${address.toString(16)}`;
  switch (errno) {
    case ERRNO.ESRCH:
      return new TrmigError(code, `${whose} (process ${pid}) has gone`, { facts, cause: thrown });
    case ERRNO.EPERM:
      return new TrmigError(code, `this process may not reach the memory of ${whose} (process ${pid})`, {
        facts,
        cause: thrown,
        hint: 'Run trmig as root, or as the user that runs QEMU with CAP_SYS_PTRACE (or kernel.yama.ptrace_scope=0).',
      });
    case ERRNO.EFAULT:
      return new TrmigError(code, `${whose} (process ${pid}) has no memory at ${at}`, { facts, cause: thrown });
    default:
      return new TrmigError(code, `${call} on ${whose} (process ${pid}) at ${at} failed with errno ${errno}`, {
        facts,
        cause: thrown,
      });
  }
}
