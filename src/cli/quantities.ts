// Quantities as people read them: three significant digits, a unit, a space between. Programs read `--json` instead, where
// every quantity is a plain number with its unit in the field's name.

const significant = (value: number): string => {
  if (value === 0) return '0';
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(digits, 3));
};

/** "0.52 ms", "12.3 ms", "4.10 s", "3 min 20 s" */
export function formatMs(ms: number): string {
  if (!Number.isFinite(ms)) return 'unknown';
  if (ms < 1_000) return `${significant(ms)} ms`;
  if (ms < 120_000) return `${significant(ms / 1_000)} s`;
  const seconds = Math.round(ms / 1_000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

export const formatNs = (ns: number): string => formatMs(ns / 1e6);

const scales = ['', 'k', 'M', 'G', 'T', 'P'];

function scaled(value: number, base: number): { value: number; scale: string } {
  let power = 0;
  while (Math.abs(value) >= base && power < scales.length - 1) {
    value /= base;
    power += 1;
  }
  return { value, scale: scales[power]! };
}

/** "312 B", "4.10 KiB", "64.0 MiB" */
export function formatSize(bytes: number): string {
  const { value, scale } = scaled(bytes, 1024);
  return scale === '' ? `${bytes} B` : `${significant(value)} ${scale.toUpperCase()}iB`;
}

/** "987", "12.3 k", "1.37 G": counts, such as instructions */
export function formatCount(count: number): string {
  const { value, scale } = scaled(count, 1000);
  return scale === '' ? String(Math.round(value)) : `${significant(value)} ${scale}`;
}

export const formatRate = (bytesPerS: number): string => `${formatSize(Math.round(bytesPerS))}/s`;

/** "2.4 ×", "310 ×" */
export const formatFactor = (factor: number): string => `${significant(factor)} ×`;

/** "98 %" */
export const formatShare = (share: number): string => `${Math.round(share * 100)} %`;
