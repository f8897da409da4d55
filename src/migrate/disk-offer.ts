// What an offer says about a machine's disks: the layers that will be frozen at the checkpoint, and what the destination needs
// to make the new top layer of each. JSON, like the spec beside it; it comes from another host, so all of it is checked.
import { z } from 'zod';
import { TrmigError } from '../errors.js';
import { layerBytesMax } from '../limits.js';
import { formatDisks, parseDisks, type MachineDisk } from '../machine/index.js';

export interface OfferedDisk {
  /** Bottom to top, without the top layer that the checkpoint will put on. */
  readonly disk: MachineDisk;
  /** The size of the guest's disk. */
  readonly virtualBytes: number;
  /** The id of the layer that the checkpoint puts on top, on both hosts. */
  readonly top: string;
  /** What the layers' files hold by now, in bytes, in their order. */
  readonly layerBytes: readonly number[];
}

const bytes = z.number().int().nonnegative().max(layerBytesMax);
const schema = z.strictObject({
  disks: z.unknown(),
  more: z.array(
    z.strictObject({ virtualBytes: bytes, top: z.uuid('not a UUID').lowercase(), layerBytes: z.array(bytes) }),
  ),
});

export function formatDiskOffer(offered: readonly OfferedDisk[]): string {
  if (offered.length === 0) return '';
  const more = offered.map(({ virtualBytes, top, layerBytes }) => ({ virtualBytes, top, layerBytes }));
  return JSON.stringify({ disks: JSON.parse(formatDisks(offered.map(({ disk }) => disk))) as unknown, more });
}

/** @throws TrmigError E_DISKS when it is not what `formatDiskOffer` makes, or is for another number of disks than `count` */
export function parseDiskOffer(text: string, count: number): OfferedDisk[] {
  const source = "the source's disks";
  const refuse = (why: string, cause?: unknown): TrmigError =>
    new TrmigError('E_DISKS', `${source}: ${why}`, { cause });
  let value: unknown;
  try {
    value = text === '' ? { disks: { format: 1, disks: [] }, more: [] } : JSON.parse(text);
  } catch (cause) {
    throw refuse('it is not JSON', cause);
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw refuse(z.prettifyError(parsed.error).split('\n')[0]!);
  const disks = parseDisks(JSON.stringify(parsed.data.disks), source);
  const { more } = parsed.data;
  if (disks.length !== count || more.length !== count)
    throw refuse(`${disks.length} of them for ${count} of the spec's`);
  return disks.map((disk, i) => {
    const { layerBytes, ...rest } = more[i]!;
    if (layerBytes.length !== disk.layers.length) throw refuse(`disk ${i} does not say how long its layers are`);
    return { disk, layerBytes, ...rest };
  });
}
