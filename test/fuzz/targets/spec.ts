// A machine's spec, YAML by a person or JSON by another host. What is accepted makes a command line whose every word is QEMU's
// own, and reads back as the same spec.
import { readFileSync, readdirSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { formatSpec, parseSpec } from '../../../src/machine/spec.js';
import { profileFindings } from '../../../src/machine/profile.js';
import { attempt, must, type Target } from '../target.js';

const options = { base: '/vm', source: 'spec.yaml' };

export const target: Target = {
  seeds: () =>
    readdirSync('fixtures/specs')
      .map((name) => readFileSync(`fixtures/specs/${name}`))
      .flatMap((yaml) => [yaml, Buffer.from(formatSpec(parseSpec(yaml.toString('utf8'), options)))])
      .concat([
        Buffer.from('name: &a x\nmemory: 64M\nkernel: *a\ndisks: [{file: a, format: raw}]\n'),
        Buffer.from(
          '{"name":"n","memory":1048576,"nics":[{"backend":"tap","interface":"t0","mac":"52:54:00:00:00:01"}]}',
        ),
      ]),
  run: (bytes) => {
    const spec = attempt(() => parseSpec(bytes.toString('utf8'), options));
    if (spec === undefined) return;
    profileFindings(spec);
    must(isDeepStrictEqual(parseSpec(formatSpec(spec), options), spec), 'a spec changes when it is written and read');
  },
};
