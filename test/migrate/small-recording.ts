// A recording of a machine that never was: a memory of zeros, a log at random. Whoever ships it only knows files.
import { statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { writeImage } from '../../src/checkpoint/index.js';
import { RecordingWriter, type Segment } from '../../src/log/index.js';
import { devicePart, imagePart, writePart } from '../../src/migrate/recording-folder.js';
import { each, facts } from '../log/support.js';

export const uuid = '6f1c2f5e-0000-4000-8000-000000000001';
export const blocks = [{ name: 'pc.ram', bytes: 1 << 20, pageBytes: 4096 }];
export const spec = JSON.stringify({ name: 'web', memory: '64M', kernel: '/nowhere/vmlinuz' });
export const digests = { registers: '4e6', devices: 'de', ram: '00ff' };

/** `cut`: its writer dies before the end, in the middle of a segment. */
export async function record(
  dir: string,
  segments: readonly Segment[],
  { cut = false, ...more }: { uuid?: string; cut?: boolean } = {},
): Promise<void> {
  const writer = await RecordingWriter.create(dir, {
    ...facts,
    devices: null,
    uuid,
    machine: 'web',
    spec,
    blocks,
    ...more,
  });
  await writePart(dir, devicePart, Buffer.from('state'));
  await writer.addPart(devicePart, 'device-state');
  await writeImage(join(dir, imagePart), blocks, each([]));
  await writer.addPart(imagePart, 'ram-image');
  for (const segment of segments) await writer.append(segment);
  if (!cut) return writer.complete('given-up', digests);
  await writer.abort();
  const growing = join(dir, 'log/0000000000.seg.partial');
  truncateSync(growing, statSync(growing).size - 1);
}
