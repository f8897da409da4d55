// One file is one idea, and a function is read in one look. No exemptions but for generated code.
import ts from 'typescript';
import t from 'tap';
import { isGenerated, treeFiles } from './tree.js';

const fileLinesMax = 400;
// A test file's callbacks hold tables and set-ups.
const functionLinesMax = { src: 100, test: 150, native: 100 };

const lineCount = (text: string): number => text.split('\n').length - 1;

function* longFunctions(path: string, text: string, linesMax: number): Generator<string> {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) && 'body' in node && node.body !== undefined) {
      const first = file.getLineAndCharacterOfPosition(node.getStart()).line;
      const lines = file.getLineAndCharacterOfPosition(node.getEnd()).line - first + 1;
      if (lines > linesMax) found.push(`${path}:${first + 1} has a function of ${lines} lines`);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  yield* found;
}

/** C and C++ as clang-format leaves them: a body ends at a brace in the first column. */
function* longNativeFunctions(path: string, text: string, linesMax: number): Generator<string> {
  let opened = -1;
  for (const [index, line] of text.split('\n').entries()) {
    if (/^(\{|[\w].*\)( const| noexcept| override)* \{)$/.test(line)) opened = index;
    if (line === '}' && opened >= 0) {
      const lines = index - opened + 1;
      if (lines > linesMax) yield `${path}:${opened + 1} has a function of ${lines} lines`;
      opened = -1;
    }
  }
}

t.test(`no file is longer than ${fileLinesMax} lines`, async (t) => {
  const long = treeFiles(/^(src|test|bench|native|scripts|fixtures)\/.*\.(ts|mjs|sh|c|cc|h)$/)
    .filter(({ path, text }) => !isGenerated(path) && lineCount(text) > fileLinesMax)
    .map(({ path, text }) => `${path} has ${lineCount(text)} lines`);
  t.same(long, []);
});

t.test('no function is longer than one look', async (t) => {
  const long = treeFiles(/^(src|bench|test|native|fixtures)\/.*\.(ts|c|cc|h)$/).flatMap(({ path, text }) => {
    if (isGenerated(path)) return [];
    if (!path.endsWith('.ts')) return [...longNativeFunctions(path, text, functionLinesMax.native)];
    return [...longFunctions(path, text, path.startsWith('test/') ? functionLinesMax.test : functionLinesMax.src)];
  });
  t.same(long, []);
});

t.test('a long function is found in TypeScript and in C', async (t) => {
  const body = 'x();\n'.repeat(5);
  t.same([...longFunctions('a.ts', `function f() {\n${body}}\n`, 5)], ['a.ts:1 has a function of 7 lines']);
  t.same([...longNativeFunctions('a.c', `int f(void)\n{\n${body}}\n`, 5)], ['a.c:2 has a function of 7 lines']);
  t.same([...longNativeFunctions('a.cc', `int f() {\n${body}}\n`, 5)], ['a.cc:1 has a function of 7 lines']);
});
