import { BaseCommand } from '../../cli/base-command.js';

export default class CatalogRebuild extends BaseCommand<typeof CatalogRebuild> {
  static override summary = 'Make the catalog anew from what is on disk.';
  static override description =
    'The catalog is an index of the state directory: machines, recordings, migrations. A damaged one is moved aside. What ' +
    'could not be taken in is listed; the exit code is 1 then. Recordings elsewhere on the disk are not searched for.';
  static override examples = ['<%= config.bin %> catalog rebuild'];

  async run(): Promise<void> {
    const { rebuildHome } = await import('../../index.js');
    const report = await rebuildHome(await this.home(), this.signal);
    const { machines, recordings, migrations, problems, movedTo } = report;
    if (problems.length > 0) this.fails();
    this.result(report, () => [
      ...problems.map(({ path, reason }) => `${this.style.warning('left out')}  ${path}: ${reason}`),
      ...(movedTo === null ? [] : [`The damaged catalog is now ${movedTo}`]),
      `${machines} machines, ${recordings} recordings, ${migrations} migrations`,
    ]);
  }
}
