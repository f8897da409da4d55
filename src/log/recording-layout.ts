// What a recording looks like from outside:
//
//   manifest.trm                what the recording is of, its parts, how far it has come; replaced as a whole, by rename
//   log/0000000000.seg          a complete log file, named after the seq of its first segment
//   log/0000000017.seg.partial  the log file that grows: whole segments, the last of them possibly torn
//   …                           parts, as the manifest names them (ram.img, device.state, …)
//
// States that an outsider can see, in order:
//   no manifest.trm             not a recording (yet)
//   status recording            being written, or its writer died: every whole segment counts, a torn tail does not
//   status complete             no partial file is left; the number of segments and the last instruction are in the manifest
//   status recording again      another host has taken the machine over and records on: a log file begins behind the others,
//                               which stay as they are
//
// Invariant: no name that a manifest or a directory holds leads out of the recording.
import { readdir, realpath } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { damaged } from './envelope.js';
import { fileError, isMissing } from './files.js';

export const manifestName = 'manifest.trm';
export const logFolder = 'log';
export const partialSuffix = '.partial';
const logNamePattern = /^(\d{10,15})\.seg(\.partial)?$/;
const partNamePattern = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}(\/[A-Za-z0-9_][A-Za-z0-9._-]{0,127}){0,7}$/;

/** Path, relative to the recording, of the complete log file that begins with segment `seq`. */
export function logFileName(seq: number): string {
  return `${logFolder}/${String(seq).padStart(10, '0')}.seg`;
}

export interface LogFile {
  /** Relative to the recording. */
  readonly name: string;
  readonly firstSeq: number;
  readonly partial: boolean;
}

/** The log files of a recording, in order of their segments. Other files in the folder are not looked at. */
export async function listLogFiles(dir: string): Promise<LogFile[]> {
  let entries: string[];
  try {
    entries = await readdir(join(dir, logFolder));
  } catch (error) {
    if (isMissing(error)) return [];
    throw fileError(error, join(dir, logFolder));
  }
  return entries
    .flatMap((entry) => {
      const match = logNamePattern.exec(entry);
      if (match === null) return [];
      return [{ name: `${logFolder}/${entry}`, firstSeq: Number(match[1]), partial: match[2] !== undefined }];
    })
    .sort((a, b) => a.firstSeq - b.firstSeq);
}

/** Whether a manifest may name a part so: a relative path of plain names, none of them hidden or `..`. */
export function isPartName(name: string): boolean {
  return partNamePattern.test(name) && name !== manifestName && !name.startsWith(`${logFolder}/`);
}

/**
 * The real path of a part, which lies within the recording whatever links it goes through.
 * @throws TrmigError E_RECORDING_DAMAGED when the name or its links lead out of the recording, or nothing is there.
 */
export async function partPath(dir: string, name: string): Promise<string> {
  if (!isPartName(name)) throw damaged({ file: join(dir, manifestName), offset: 0 }, `"${name}" cannot name a part`);
  try {
    const root = await realpath(dir);
    const path = await realpath(join(root, name));
    if (path.startsWith(root + sep)) return path;
  } catch (error) {
    if (isMissing(error)) throw damaged({ file: join(dir, name), offset: 0 }, 'the file is missing', error);
    throw fileError(error, join(dir, name));
  }
  throw damaged({ file: join(dir, name), offset: 0 }, 'it leads out of the recording');
}
