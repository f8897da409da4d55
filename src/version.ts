// The version of this trmig, from its package.json, which is two folders up wherever this file was compiled to.

import { readFileSync } from 'node:fs';

function readVersion(): string {
  for (const up of ['../package.json', '../../package.json']) {
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(up, import.meta.url), 'utf8')) as Record<
        string,
        unknown
      >;
      if (name === 'trmig' && typeof version === 'string') return version;
    } catch {
      // Compiled to dist/ it is one folder up, to build/src/ two.
    }
  }
  return '0.0.0';
}

export const version = readVersion();
