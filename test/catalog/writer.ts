// Another process at the catalog: `node writer.js FILE ID ROWS` writes rows of its own, each in a call of its own.
import { SqliteCatalog } from '../../src/catalog/index.js';
import { entry, machine } from './samples.js';

const [file = '', id = '', rows = '0'] = process.argv.slice(2);
const catalog = new SqliteCatalog(file);
for (let i = 0; i < Number(rows); i++) {
  await catalog.putMachine({ ...machine, name: `${id}-${i}` });
  await catalog.putRecording({ ...entry, recording: { ...entry.recording, id: `${id}-${i}` } });
}
catalog.close();
