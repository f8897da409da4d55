// The core's own tests, in C++ under sanitizers, as a part of the suite.

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { projectRoot } from './holder.js';

t.test('the core passes its own tests under the address and undefined-behaviour sanitizers', async (t) => {
  const { stdout } = await promisify(execFile)('make', ['-s', '-C', join(projectRoot(), 'native', 'core'), 'test']);
  t.match(stdout, /all tests passed/);
});
