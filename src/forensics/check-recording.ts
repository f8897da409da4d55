// Everything that can be wrong with a recording: its manifest, its parts' digests, each segment of the log, and each chunk
// of the RAM image. A recording that passes can be replayed by the machine it names, as far as its bytes can say.
import { join } from 'node:path';
import { asTrmigError } from '../errors.js';
import { ImageReader } from '../checkpoint/index.js';
import {
  RecordingReader,
  verifyRecording,
  type RecordingCheck,
  type RecordingManifest,
  type RecordingProblem,
  type VerifyOptions,
} from '../log/index.js';

export interface WholeCheck extends RecordingCheck {
  /** null when it cannot be read. */
  readonly manifest: RecordingManifest | null;
  readonly imageChunks: number;
}

/**
 * Checks every byte of the recording in `dir`, the RAM image's chunks included.
 * @throws TrmigError E_RECORDING_MISSING, E_ABORTED, E_FILE_ACCESS; damage is not thrown but listed.
 */
export async function checkRecording(dir: string, options: VerifyOptions = {}): Promise<WholeCheck> {
  const check = await verifyRecording(dir, options);
  const problems = [...check.problems];
  const manifest = await RecordingReader.open(dir).then(
    (reader) => reader.manifest,
    () => null,
  );
  let imageChunks = 0;
  for (const part of manifest?.parts ?? []) {
    // A part whose bytes are not those of the manifest has been named already.
    if (part.role !== 'ram-image' || problems.some(({ file }) => file === join(dir, part.name))) continue;
    const found = await checkImage(join(dir, part.name), options.signal);
    imageChunks += found.chunks;
    if (found.problem !== null) problems.push(found.problem);
  }
  return { ...check, problems, manifest, imageChunks };
}

async function checkImage(
  path: string,
  signal: AbortSignal | undefined,
): Promise<{ chunks: number; problem: RecordingProblem | null }> {
  let image: ImageReader | null = null;
  try {
    image = await ImageReader.open(path);
    await image.verify(signal ? { signal } : {});
    return { chunks: image.index.length, problem: null };
  } catch (thrown) {
    const error = asTrmigError(thrown);
    if (error.code !== 'E_IMAGE_DAMAGED' && error.code !== 'E_IMAGE_NEWER') throw error;
    const { offset } = error.facts;
    const problem = { code: error.code, file: path, offset: typeof offset === 'number' ? offset : 0 };
    return { chunks: 0, problem: { ...problem, message: error.message } };
  } finally {
    await image?.close();
  }
}
