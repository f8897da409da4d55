// Nothing in the tree knows the machine it was written on, or which registry its packages came from.
import t from 'tap';
import { treeFiles } from './tree.js';

// Put together here, so that this file is no finding itself.
const hosts = [
  'registry.npm' + 'js.org',
  'deb.debian' + '.org',
  'deb.node' + 'source.com',
  'registry.yarn' + 'pkg.com',
];
const places = ['/wo' + 'rk/', '/tm' + 'p/q/', '/ro' + 'ot/'];

const files = treeFiles(/./);

t.test('no file names a package registry', async (t) => {
  const found = files.flatMap(({ path, text }) =>
    hosts.filter((host) => text.includes(host)).map((host) => `${path} names ${host}`),
  );
  t.same(found, []);
});

t.test('no file names a place on some machine', async (t) => {
  const found = files.flatMap(({ path, text }) =>
    places
      .filter((place) => new RegExp(`(^|[^\\w.$})-])${place}`, 'm').test(text))
      .map((place) => `${path} names ${place}`),
  );
  t.same(found, []);
});

t.test('the lock file says what, not from where', async (t) => {
  for (const { text } of treeFiles(/^package-lock\.json$/)) t.notMatch(text, /"resolved":/);
});
