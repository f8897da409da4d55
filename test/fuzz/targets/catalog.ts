// The catalog's file, damaged: it is read or refused, and can be made anew whatever it holds. The input is changes of an honest
// file: a place, a length and that many bytes each.
import { readFileSync, rmSync, writeFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { SqliteCatalog, rebuildCatalog } from '../../../src/catalog/index.js';
import { entry, machine, migration } from '../../catalog/samples.js';
import { scratchFolder } from '../scratch.js';
import { attemptLater, isRefusal, must, type Target } from '../target.js';

const folder = scratchFolder();
const file = join(folder, 'catalog.db');

async function honest(): Promise<Buffer> {
  const catalog = new SqliteCatalog(file);
  await catalog.replaceAll({ machines: [machine], recordings: [entry], migrations: [migration] });
  catalog.close();
  return readFileSync(file);
}

const whole = await honest();

function changed(bytes: Buffer): Buffer {
  const content = Buffer.from(whole);
  for (let at = 0; at + 4 <= bytes.length;) {
    const length = bytes[at + 3]! & 0x3f;
    bytes.copy(content, bytes.readUIntLE(at, 3) % content.length, at + 4, at + 4 + length);
    at += 4 + length;
  }
  return content;
}

function clear(): void {
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { force: true });
}

export const target: Target = {
  bytesMax: 512,
  seeds: () => [
    Buffer.of(0, 0, 0, 4, 1, 2, 3, 4),
    Buffer.of(60, 0, 0, 4, 0, 0, 0, 99),
    Buffer.of(16, 0, 0, 2, 2, 0, 100, 0, 0, 8, 13, 0, 0, 0, 255, 0, 0, 0),
    Buffer.of(0, 16, 0, 8, 13, 0, 0, 0, 9, 1, 2, 3),
  ],
  run: async (bytes) => {
    clear();
    writeFileSync(file, changed(bytes));
    const catalog = new SqliteCatalog(file);
    await attemptLater(() => catalog.machines());
    await attemptLater(() => catalog.recordings({ machine: 'web' }));
    await attemptLater(() => catalog.segmentRangeAt('r1', 1600));
    await attemptLater(() => catalog.migrations());
    await attemptLater(() => catalog.putMachine(machine));
    catalog.close();
    try {
      await rebuildCatalog(file, {
        machines: async function* () {
          yield machine;
        },
      });
    } catch (thrown) {
      must(isRefusal(thrown), String(thrown));
      // A stranger's or a newer trmig's file is left alone; damage is not.
      must(thrown.code === 'E_CATALOG' || thrown.code === 'E_CATALOG_NEWER', `rebuilding ended in ${thrown.code}`);
      return;
    }
    const rebuilt = new SqliteCatalog(file);
    const machines = await rebuilt.machines();
    rebuilt.close();
    must(machines.length === 1 && machines[0]!.name === machine.name, 'what was rebuilt does not hold the machine');
  },
};
