// A name says what a thing is. These say only that somebody did not know.
import t from 'tap';
import { treeFiles } from './tree.js';

const banned = /^(utils?|helpers?|misc|common|shared|stuff|lib|tools?|functions?|general|various)$/i;
const instead = 'name it for the one thing it holds, or put each thing beside its user';

t.test('no file or folder is named for nothing', async (t) => {
  const found = treeFiles(/^(src|test|bench|native|schema|scripts|fixtures)\//)
    .map(({ path }) => path)
    .filter((path) =>
      path.split('/').some((part) =>
        part
          .replace(/\..*$/, '')
          .split('-')
          .some((word) => banned.test(word)),
      ),
    );
  t.same(found, [], instead);
});

t.test('source files are named in kebab-case', async (t) => {
  const found = treeFiles(/^(src|test|bench)\/.*\.ts$/).filter(({ path }) => !/^[a-z0-9/.-]+$/.test(path));
  t.same(
    found.map(({ path }) => path),
    [],
  );
});
