// Logs to measure codecs on: recorded from a guest as a migration would cut them, or read from where somebody kept them.
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RecordingReader, TracerFrameDecoder, type Segment } from '../src/log/index.js';
import { TracerClient, chooseShift, findTracer } from '../src/machine/index.js';
import { ConsoleWatch } from './console.js';
import { Qemu, type Workload } from './guest.js';

export interface TapeOptions {
  readonly workload: Workload;
  readonly memory: string;
  readonly seconds: number;
  readonly segmentMs: number;
}

/** Boots a guest and records its log, in the tracer's frames. */
export async function recordLog({ workload, memory, seconds, segmentMs }: TapeOptions): Promise<Buffer> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'trmig-tape-'));
  let qemu: Qemu | null = null;
  let watch: ConsoleWatch | null = null;
  try {
    qemu = await Qemu.start({ folder, workload, memory, tracer: await findTracer() });
    watch = new ConsoleWatch(qemu.paths.consoleLog, workload);
    await watch.waitFor(3, 120_000);
    const tracer = await TracerClient.connect(qemu.paths.tracerSocket);
    const shift = chooseShift(await tracer.probe(800));
    const socket = await tracer.openStream('tape');
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    await tracer.arm({ shift, stream: 'tape', segmentMs, segmentBytes: 256 * 1024, checkpoint: false });
    await sleep(seconds * 1000);
    const closed = once(socket, 'close', { signal: AbortSignal.timeout(2_000) }).catch(() => socket.destroy());
    await tracer.disarm();
    await closed;
    tracer.close();
    return Buffer.concat(chunks);
  } finally {
    await Promise.all([watch?.close(), qemu?.quit()]);
    await rm(folder, { recursive: true, force: true });
  }
}

/** The segments of a recording's folder, or of a file of the tracer's frames. */
export async function readLog(place: string): Promise<Segment[]> {
  if ((await stat(place)).isFile()) return new TracerFrameDecoder().push(await readFile(place));
  const segments: Segment[] = [];
  for await (const segment of (await RecordingReader.open(place)).segments()) segments.push(segment);
  return segments;
}
