// Quantities as the HTML report writes them: two to three significant digits, and a space that does not break before the unit.

const space = '\u00a0';
const none = '–';

/** Two to three significant digits, never in exponents: "0.04", "5.10", "128". */
function significant(value: number): string {
  const size = Math.abs(value);
  if (size < 0.0005) return '0';
  if (size >= 99.95) return String(Math.round(value));
  return value.toFixed(size < 0.0095 ? 3 : size < 9.995 ? 2 : 1);
}

/** "0.42 ms", "5.10 ms", "2.31 s", "3 min 20 s" */
export function duration(ms: number): string {
  if (!Number.isFinite(ms)) return none;
  const size = Math.abs(ms);
  if (size < 999.5) return `${significant(ms)}${space}ms`;
  if (size < 119_500) return `${significant(ms / 1000)}${space}s`;
  const seconds = Math.round(size / 1000);
  return `${ms < 0 ? '-' : ''}${Math.floor(seconds / 60)}${space}min${space}${seconds % 60}${space}s`;
}

function scaled(value: number, base: number, units: readonly string[]): string {
  if (!Number.isFinite(value)) return none;
  let power = 0;
  let rest = value;
  while (Math.abs(rest) >= base * 0.9995 && power < units.length - 1) {
    rest /= base;
    power++;
  }
  const number = power === 0 ? String(Math.round(rest)) : significant(rest);
  return units[power] === '' ? number : `${number}${space}${units[power]!}`;
}

/** "312 B", "18.2 KiB", "31.0 MiB" */
export const size = (bytes: number): string => scaled(bytes, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB']);

/** "312 B/s", "118 MiB/s" */
export const rate = (bytesPerSecond: number): string => `${size(bytesPerSecond)}/s`;

/** "987", "12.3 thousand", "1.37 billion" */
export const count = (value: number): string => scaled(value, 1000, ['', 'thousand', 'million', 'billion', 'trillion']);

/** "12 %", "0.4 %" */
export function share(value: number): string {
  if (!Number.isFinite(value)) return none;
  const percent = value * 100;
  return `${Number(percent.toFixed(Math.abs(percent) < 9.95 ? 1 : 0))}${space}%`;
}

/** "2.40 ×" */
export const factor = (value: number): string => (Number.isFinite(value) ? `${significant(value)}${space}×` : none);

/** A quantity on an axis, where the value is round: "6.00 KiB/s" becomes "6 KiB/s". */
export const round = (quantity: string): string => quantity.replace(/(\.\d*?)0+(?!\d)/, '$1').replace(/\.(?!\d)/, '');
