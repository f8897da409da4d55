// Sizes as people write them. Binary units, as QEMU's own `-m` has them: 256M is 256 MiB.

const UNIT_BYTES: Readonly<Record<string, number>> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/** "256M", "1.5GiB", "4096 K" or a number of bytes; null when it is no size, or not a whole number of bytes. */
export function parseBytes(size: string | number): number | null {
  if (typeof size === 'number') return Number.isSafeInteger(size) && size >= 0 ? size : null;
  const match = /^(\d{1,16}(?:\.\d{1,6})?) ?([KMGT]?)(?:iB|B)?$/i.exec(size.trim());
  if (!match) return null;
  const bytes = Number(match[1]) * UNIT_BYTES[match[2]!.toUpperCase()]!;
  return Number.isSafeInteger(bytes) ? bytes : null;
}

/** The shortest exact form that `parseBytes` reads back: "256M". */
export function formatBytes(bytes: number): string {
  for (const unit of ['T', 'G', 'M', 'K']) {
    const unitBytes = UNIT_BYTES[unit]!;
    if (bytes >= unitBytes && bytes % unitBytes === 0) return `${bytes / unitBytes}${unit}`;
  }
  return String(bytes);
}
