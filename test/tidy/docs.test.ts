// What the documents point to is there: links, and the repository's paths named in code style.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { treeFiles } from './tree.js';

const documents = treeFiles(/\.md$/);
const paths = /`((?:src|native|docs|scripts|schema|test|fixtures|bench)\/[\w./-]*)`/g;

t.test('every relative link leads somewhere', async (t) => {
  const broken = documents.flatMap(({ path, text }) =>
    [...text.matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target = '']) => target)
      .filter((target) => !/^([a-z]+:|#)/.test(target))
      .filter((target) => !existsSync(join(dirname(path), target.replace(/#.*$/, ''))))
      .map((target) => `${path} links to ${target}`),
  );
  t.same(broken, []);
});

t.test('every path that is named exists', async (t) => {
  const missing = documents.flatMap(({ path, text }) =>
    [...text.matchAll(paths)]
      .map(([, named = '']) => named)
      .filter((named) => !existsSync(named))
      .map((named) => `${path} names ${named}`),
  );
  t.same(missing, []);
});
