// Leaves a migration's report where people and programs find it: report.json and report.html, side by side.
import { join, resolve } from 'node:path';
import { fileError } from '../log/files.js';
import { makeFolder, writePart } from './recording-folder.js';
import type { MigrationReport } from './report.js';

export interface ReportFiles {
  readonly json: string;
  readonly html: string;
}

/** Writes both files into `dir`, which is made if needed. @throws TrmigError E_DISK_FULL, E_FILE_ACCESS */
export async function writeReport(report: MigrationReport, dir: string): Promise<ReportFiles> {
  const { renderReport } = await import('./report-html.js');
  try {
    await makeFolder(resolve(dir));
  } catch (thrown) {
    throw fileError(thrown, dir);
  }
  await writePart(dir, 'report.json', Buffer.from(`${JSON.stringify(report, null, 2)}\n`));
  await writePart(dir, 'report.html', Buffer.from(renderReport(report)));
  return { json: join(dir, 'report.json'), html: join(dir, 'report.html') };
}
