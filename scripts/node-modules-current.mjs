// Exits 0 when node_modules holds what package-lock.json says. Compared by content: a checkout changes every file's time.
import { readFileSync } from 'node:fs';

const packages = (path) => {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).packages;
  } catch {
    return {};
  }
};

const wanted = packages('package-lock.json');
const installed = packages('node_modules/.package-lock.json');
const stale = Object.entries(wanted).filter(
  ([path, entry]) =>
    path !== '' && installed[path]?.version !== entry.version && !(entry.optional === true && !(path in installed)),
);
process.exitCode = stale.length === 0 ? 0 : 1;
