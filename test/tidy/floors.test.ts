// The floors of imports, checked on the import statements themselves: lint can be told to look away, this cannot.
import { readFileSync } from 'node:fs';
import { posix } from 'node:path';
import t from 'tap';
import { treeFiles } from './tree.js';

interface Floors {
  readonly anyone: readonly string[];
  readonly floors: readonly (readonly string[])[];
  readonly faceOnly: readonly string[];
}

const { anyone, floors, faceOnly } = JSON.parse(readFileSync('test/tidy/floors.json', 'utf8')) as Floors;
const floorOf = (name: string): number => floors.findIndex((floor) => floor.includes(name));
const imports = /(?:^|\n)\s*(?:import|export)\b[^;'"]*?['"](\.[^'"]+)['"]|\bimport\(\s*['"](\.[^'"]+)['"]/g;

/** The module a path of src/ belongs to: its folder, or its own name at the top. */
function moduleOf(path: string): string | undefined {
  const [top, name] = path.split('/');
  return top === 'src' ? name?.replace(/\.[jt]s$/, '') : undefined;
}

function refusal(from: string, to: string | undefined): string | undefined {
  if (to === undefined) return 'leaves src/';
  if (from === to || anyone.includes(to)) return undefined;
  if (anyone.includes(from)) return `${from} is imported by everyone and imports nobody`;
  if (floorOf(to) < 0) return `${to} has no floor`;
  if (faceOnly.includes(from) && to !== 'index' && !faceOnly.includes(to))
    return `${from} uses src/index.ts and nothing else`;
  return floorOf(to) < floorOf(from) ? undefined : `${to} is not below ${from}`;
}

t.test('every module of src has a floor', async (t) => {
  const names = new Set(treeFiles(/^src\/.*\.ts$/).map(({ path }) => moduleOf(path) ?? ''));
  const homeless = [...names].filter((name) => !anyone.includes(name) && floorOf(name) < 0);
  t.same(homeless, [], 'each is in test/tidy/floors.json');
});

t.test('imports only go down', async (t) => {
  const against: string[] = [];
  for (const { path, text } of treeFiles(/^src\/.*\.ts$/)) {
    const from = moduleOf(path) ?? '';
    for (const [, statement, expression] of text.matchAll(imports)) {
      const target = posix.join(posix.dirname(path), statement ?? expression ?? '');
      const why = refusal(from, moduleOf(target));
      if (why !== undefined) against.push(`${path} imports ${target}: ${why}`);
    }
  }
  t.same(against, []);
});

t.test('the floors refuse what they should', async (t) => {
  t.equal(refusal('migrate', 'log'), undefined);
  t.equal(refusal('commands', 'index'), undefined);
  t.equal(refusal('commands', 'cli'), undefined);
  t.equal(refusal('native', 'errors'), undefined);
  t.match(refusal('log', 'wire'), /not below/);
  t.match(refusal('log', 'migrate'), /not below/);
  t.match(refusal('commands', 'migrate'), /index\.ts/);
  t.match(refusal('cli', 'commands'), /not below/);
  t.match(refusal('errors', 'log'), /imports nobody/);
  t.match(refusal('log', undefined), /leaves/);
});
