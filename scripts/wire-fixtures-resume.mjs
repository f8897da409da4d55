// Made fixtures/wire/v1/resume.*, once: what `resume-link` looked like on the wire when it was new, both directions of a
// connection. Golden files are never regenerated (scripts/log-fixtures.mjs says why), so this refuses to overwrite anything.
//
//   node scripts/wire-fixtures-resume.mjs     after the tests were compiled
import { existsSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const load = (path) => import(pathToFileURL(join(root, 'build', path)).href);
const { encodeFrame } = await load('src/wire/parser.js');
const { SAMPLES, allSamples } = await load('test/wire/samples.js');
const { asJson } = await load('test/wire/golden.js');

const golden = join(root, 'fixtures', 'wire', 'v1');
if (existsSync(join(golden, 'resume.jsonl')))
  throw new Error('they are there already, and golden files are not written twice');
const bytesOf = (frame, short) => {
  const { head, payload } = encodeFrame(frame, { version: 1, short });
  return Buffer.concat([head, payload ?? Buffer.alloc(0)]);
};
const [begins, resumes] = allSamples.filter(({ kind, link }) => kind === 'hello' && link !== undefined);
const welcome = allSamples.find(({ kind, received }) => kind === 'welcome' && received !== undefined);
const said = [SAMPLES.ack, SAMPLES.bye];
const rest = said.flatMap((frame) => [bytesOf(frame, false), bytesOf(frame, true)]);
for (const [name, first] of Object.entries({ begins, resumes, welcome })) {
  writeFileSync(join(golden, `resume.${name}.bin`), Buffer.concat([bytesOf({ ...first, version: 1 }, false), ...rest]));
}
const lines = [begins, resumes, { ...welcome, version: 1 }, ...said].map((frame) => `${asJson(frame)}\n`);
writeFileSync(join(golden, 'resume.jsonl'), lines.join(''));
