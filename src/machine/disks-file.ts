// machines/<name>/disks.json: the chain of each of a machine's disks, in the order of its spec. It is what a start goes by;
// a QEMU that runs may know better for a moment, and src/disk/reconcile.ts brings the two together.
//
// Invariant: what it names is at every moment a chain with the right content, also when QEMU or trmig is killed between any
// two steps. So a new top layer is written down before QEMU uses it (empty, it changes nothing), and a merged layer is
// taken out only after QEMU has done without it.
import { open } from 'node:fs/promises';
import { z } from 'zod';
import { TrmigError } from '../errors.js';
import { diskIncludesMax, diskLayersMax, disksFileBytesMax, layerBytesMax, specProblemsMax } from '../limits.js';
import { layerNode, type DiskChain } from './disk-chain.js';
import { durable } from './durable.js';
import type { MachinePaths } from './home.js';
import type { DiskSpec } from './spec-schema.js';

/** The format that this trmig writes. */
const DISKS_FORMAT = 1;

/** A disk's chain and the entry of the spec that it was made for. */
export interface MachineDisk extends DiskChain {
  readonly spec: DiskSpec;
  /** The machine has moved away: these are the frozen layers that it left, and nothing may write to them. */
  readonly left?: boolean | undefined;
}

const id = z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, 'not a UUID in lower case');
// eslint-disable-next-line no-control-regex
const harmlessPath = /^\/[^\u0000-\u001f\u007f]*$/;
const file = z.string().max(4096).regex(harmlessPath, 'not an absolute path');
const format = z.enum(['raw', 'qcow2']);

const layerSchema = z.strictObject({
  id,
  file,
  format,
  includes: z.array(id).max(diskIncludesMax),
  origin: z.enum(['spec', 'backing', 'made']),
  shared: z.boolean(),
  frozen: z
    .strictObject({
      bytes: z.number().int().nonnegative().max(layerBytesMax),
      digest: z.string().regex(/^[0-9a-f]{32}$/, 'not a digest'),
      mtimeNs: z.string().regex(/^\d{1,20}$/, 'not a time in ns'),
    })
    .optional(),
});

const diskSchema = z
  .strictObject({
    spec: z.strictObject({ file, format, readonly: z.boolean(), shared: z.boolean() }),
    readonly: z.boolean(),
    left: z.boolean().optional(),
    layers: z.array(layerSchema).min(1).max(diskLayersMax),
  })
  .superRefine(({ layers }, context) => {
    const seen = new Set<string>();
    for (const [i, layer] of layers.entries()) {
      const complain = (message: string): void => context.addIssue({ code: 'custom', path: ['layers', i], message });
      if (i > 0 && layer.format === 'raw') complain('a raw layer cannot lie on another');
      for (const one of [layer.id, ...layer.includes]) {
        if (seen.has(one)) complain(`the layer ${one} is there twice`);
        seen.add(one);
      }
    }
  });

const disksSchema = z
  .strictObject({
    format: z.literal(DISKS_FORMAT, `this trmig reads format ${DISKS_FORMAT}`),
    disks: z.array(diskSchema).max(16),
  })
  .superRefine(({ disks }, context) => {
    const files = disks.flatMap(({ readonly, layers }) =>
      readonly ? [] : layers.slice(-1).map(({ file: top }) => top),
    );
    // Two disks may read one file; two that write it would tear it apart.
    const layers = disks.flatMap((disk) => disk.layers.map(({ id: one }) => layerNode(one)));
    if (new Set(layers).size < layers.length) context.addIssue({ code: 'custom', message: 'two layers have one name' });
    const twice = files.find((one, i) => files.indexOf(one) !== i);
    if (twice !== undefined) context.addIssue({ code: 'custom', message: `two disks write ${twice}` });
  });

/**
 * Checks what disks.json, or another host, says about a machine's disks.
 * @param source what it is called in the message
 * @throws E_DISKS with every problem and its place
 */
export function parseDisks(text: string, source: string): MachineDisk[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw refusal(source, 'it is not JSON', cause);
  }
  const parsed = disksSchema.safeParse(value);
  if (parsed.success) return parsed.data.disks;
  const issues = parsed.error.issues.slice(0, specProblemsMax);
  throw refusal(source, issues.map(({ path: at, message }) => `${at.join('.') || 'all'}: ${message}`).join('; '));
}

/** What `parseDisks` reads. */
export function formatDisks(disks: readonly MachineDisk[]): string {
  return `${JSON.stringify({ format: DISKS_FORMAT, disks }, null, 2)}\n`;
}

/** The chains of a machine's disks; null when it has never been started here. @throws E_DISKS, E_FILE_ACCESS */
export async function readDisks(paths: MachinePaths): Promise<MachineDisk[] | null> {
  const bytes = await readStart(paths.disks, disksFileBytesMax + 1);
  if (bytes === null) return null;
  if (bytes.length > disksFileBytesMax) throw refusal(paths.disks, `it is longer than ${disksFileBytesMax} bytes`);
  return parseDisks(bytes.toString('utf8'), paths.disks);
}

/** Writes them such that a crash leaves the old or the new. @throws E_DISKS when they are not what `readDisks` reads */
export async function writeDisks(paths: MachinePaths, disks: readonly MachineDisk[]): Promise<void> {
  const text = formatDisks(disks);
  parseDisks(text, paths.disks);
  await durable(paths.disks, text);
}

/** The beginning of a file, `bytesMax` or all; null when there is no such file. @throws E_FILE_ACCESS */
export async function readStart(at: string, bytesMax: number): Promise<Buffer | null> {
  try {
    const handle = await open(at, 'r');
    try {
      const bytes = Buffer.alloc(Math.min(bytesMax, (await handle.stat()).size || bytesMax));
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0);
      return bytes.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new TrmigError('E_FILE_ACCESS', `${at}: ${(cause as Error).message}`, { cause, facts: { path: at } });
  }
}

function refusal(source: string, why: string, cause?: unknown): TrmigError {
  return new TrmigError('E_DISKS', `${source}: ${why}`, { cause, facts: { path: source } });
}
