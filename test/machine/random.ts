// Seeded noise for fuzzing: a failure names its seed, and the seed reproduces it.

/** Numbers in [0, 1): mulberry32. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** `bytes` with a few of them flipped, cut, doubled or replaced. */
export function damaged(bytes: Buffer, random: () => number): Buffer {
  let result = Buffer.from(bytes);
  for (let edits = 1 + Math.floor(random() * 4); edits > 0; edits--) {
    const at = Math.floor(random() * (result.length + 1));
    const length = Math.floor(random() * 8);
    const noise = Buffer.from(Array.from({ length }, () => Math.floor(random() * 256)));
    const kind = Math.floor(random() * 4);
    if (kind === 0) result = result.subarray(0, at);
    else if (kind === 1) result = Buffer.concat([result.subarray(0, at), noise, result.subarray(at + length)]);
    else if (kind === 2) result = Buffer.concat([result.subarray(0, at), noise, result.subarray(at)]);
    else result = Buffer.concat([result, result.subarray(at)]);
  }
  return result;
}

const odd = [
  null,
  true,
  false,
  -1,
  0,
  1.5,
  2 ** 60,
  '',
  'off',
  '256M',
  'x'.repeat(300),
  [],
  {},
  [[]],
  'a\u0000b',
  '__proto__',
];

/** A value of any JSON kind, now and then nested. */
export function anyValue(random: () => number, depth = 0): unknown {
  const pick = Math.floor(random() * (odd.length + 2));
  if (pick < odd.length) return odd[pick];
  const size = depth > 3 ? 0 : Math.floor(random() * 4);
  const values = Array.from({ length: size }, () => anyValue(random, depth + 1));
  if (pick === odd.length) return values;
  return Object.fromEntries(values.map((value, i) => [['name', 'mac', 'file', 'id', '__proto__'][i]!, value]));
}
