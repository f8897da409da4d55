import { Args } from '@oclif/core';
import { BaseCommand } from '../cli/base-command.js';
import { formatSize } from '../cli/quantities.js';
import { StatusLine, bar } from '../cli/status-line.js';

export default class Verify extends BaseCommand<typeof Verify> {
  static override summary = 'Check every byte of a recording.';
  static override description =
    'Reads manifest, parts, RAM image and log, compares all checksums and lists all that is wrong, each with file and ' +
    'offset. The exit code is 1 when something is.';
  static override examples = ['<%= config.bin %> verify web.rec'];
  static override args = { recording: Args.string({ description: 'Recording (a directory).', required: true }) };

  async run(): Promise<void> {
    const { checkRecording } = await import('../index.js');
    const status = new StatusLine(process.stderr, !this.jsonWanted);
    const onProgress = (read: number, total: number): void =>
      status.show(() => `verifying  ${bar(read / Math.max(1, total), 30)}  ${formatSize(read)}`);
    const check = await checkRecording(this.args.recording, { signal: this.signal, onProgress }).finally(() =>
      status.end(),
    );
    const { problems, segments, bytes, imageChunks, manifest } = check;
    if (problems.length > 0) this.fails();
    const facts = manifest && {
      machine: manifest.machine,
      uuid: manifest.uuid,
      status: manifest.status,
      endIcount: manifest.status === 'complete' ? manifest.endIcount : null,
    };
    this.result({ whole: problems.length === 0, recording: facts, segments, imageChunks, bytes, problems }, () => [
      ...problems.map(({ message, code }) => `${this.style.bad('damaged')}  ${message} ${this.style.dim(`(${code})`)}`),
      `${segments} segments, ${imageChunks} image chunks, ${formatSize(bytes)}: ${
        problems.length === 0
          ? this.style.good('all is well')
          : `${problems.length} ${problems.length === 1 ? 'fault' : 'faults'}`
      }`,
      ...(facts?.status === 'recording' ? ['It is not complete: it is being written, or its writer was killed.'] : []),
    ]);
  }
}
