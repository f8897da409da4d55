// What people type on the command line, as values: durations (`20ms`, `2.5s`), rates, positions in a log, addresses. A bare number
// is refused where a unit could be meant: 20 is twenty seconds to one and twenty milliseconds to another.
import { TrmigError } from '../errors.js';
import { bandwidthBytesPerSecondMin } from '../limits.js';

const unitMs: Readonly<Record<string, number>> = { us: 1e-3, ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** "20ms", "2.5s", "10m" in milliseconds; null when it is no duration. */
export function parseDuration(text: string): number | null {
  const match = /^(\d{1,9}(?:\.\d{1,9})?) ?(us|ms|s|m|h)$/.exec(text.trim());
  return match === null ? null : Number(match[1]) * unitMs[match[2]!]!;
}

/** @throws E_USAGE naming the flag */
export function requireDuration(text: string, flag: string): number {
  const ms = parseDuration(text);
  if (ms !== null) return ms;
  throw new TrmigError('E_USAGE', `--${flag} ${text}: this is no duration`, {
    hint: 'Write a number and its unit: 20ms, 2.5s, 10m.',
    facts: { flag, value: text },
  });
}

const rateBytes: Readonly<Record<string, number>> = {
  ...{ kbit: 125, mbit: 125_000, gbit: 125_000_000 },
  ...{ 'KB/s': 1e3, 'MB/s': 1e6, 'GB/s': 1e9, 'KiB/s': 2 ** 10, 'MiB/s': 2 ** 20, 'GiB/s': 2 ** 30 },
};

/**
 * "100mbit", "12MB/s", "1.5gbit/s" in bytes a second. What may mean bits to one and bytes to another (Mb/s, mbps) is refused.
 * @throws E_USAGE
 */
export function requireRate(text: string, flag: string): number {
  const match = /^(\d{1,9}(?:\.\d{1,9})?) ?(?:([kmg]bit)(?:\/s)?|([KMG]i?B\/s))$/.exec(text.trim());
  const bytesPerSecond = match === null ? NaN : Number(match[1]) * rateBytes[(match[2] ?? match[3])!]!;
  if (bytesPerSecond >= bandwidthBytesPerSecondMin) return bytesPerSecond;
  const why = match === null ? 'this is no rate' : 'this is less than 64kbit';
  throw new TrmigError('E_USAGE', `--${flag} ${text}: ${why}`, {
    hint: 'Write a number and kbit, mbit, gbit, KB/s, MB/s or GB/s: 100mbit, 12MB/s.',
    facts: { flag, value: text },
  });
}

/** Where a replay is to stop: an instruction count, or guest time after the checkpoint. */
export type PositionText = { readonly icount: number } | { readonly guestMs: number };

/**
 * "123456" (instructions) or "2.5s" (guest time after the checkpoint).
 * @throws E_USAGE
 */
export function requirePosition(text: string, flag: string): PositionText {
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(Number(text))) return { icount: Number(text) };
  const guestMs = parseDuration(text);
  if (guestMs !== null) return { guestMs };
  throw new TrmigError('E_USAGE', `--${flag} ${text}: this is neither an instruction count nor a time`, {
    hint: 'Write an instruction count (123456) or guest time after the checkpoint (2.5s).',
    facts: { flag, value: text },
  });
}

/**
 * "30%" or "0.3", up to `most`.
 * @throws E_USAGE
 */
export function requireShare(text: string, flag: string, most: number): number {
  const match = /^(\d{1,3}(?:\.\d{1,3})?) ?(%?)$/.exec(text.trim());
  const share = match === null ? NaN : Number(match[1]) / (match[2] === '%' ? 100 : 1);
  if (share >= 0 && share <= most) return share;
  throw new TrmigError('E_USAGE', `--${flag} ${text}: this is not between 0% and ${most * 100}%`, {
    facts: { flag, value: text },
  });
}

/**
 * "host:port", "[::1]:7000", ":7000" (with the host given as default).
 * @throws E_USAGE
 */
export function requireAddress(text: string, hostDefault?: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? (match?.[2] === '' ? hostDefault : match?.[2]);
  const port = Number(match?.[3]);
  if (host !== undefined && port <= 65535) return { host, port };
  throw new TrmigError('E_USAGE', `'${text}' is no address`, {
    hint: 'Write host:port, such as 10.0.0.2:7600 or [::1]:7600.',
    facts: { value: text },
  });
}
