// Generated code is committed, so that nobody needs flatc; this is what keeps it from going stale.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { Builder } from 'flatbuffers';
import t from 'tap';
import { TrmigError } from '../../src/errors.js';
import { readTable, required, safeNumber } from '../../src/schema/bounded.js';
import { Part, Role } from '../../src/schema/recording.js';

const names = readdirSync('schema')
  .filter((file) => file.endsWith('.fbs'))
  .map((file) => file.slice(0, -'.fbs'.length));

for (const name of names) {
  t.test(
    `src/schema/${name} is generated from the schema as it is now (else: node scripts/schema.mjs ${name})`,
    (t) => {
      const hash = createHash('sha256')
        .update(readFileSync(`schema/${name}.fbs`))
        .digest('hex');
      const files = readdirSync(`src/schema/${name}`).map((file) => `src/schema/${name}/${file}`);
      t.ok(files.length > 0, 'there is generated code');
      for (const file of [`src/schema/${name}.ts`, ...files]) {
        t.equal(readFileSync(file, 'utf8').split('\n')[1], `// schema-sha256: ${hash}`, file);
      }
      t.end();
    },
  );
}

t.test('every folder of generated code has its schema', (t) => {
  const folders = readdirSync('src/schema', { withFileTypes: true }).filter((entry) => entry.isDirectory());
  for (const folder of folders) t.ok(names.includes(folder.name), folder.name);
  t.end();
});

const fault = (why: string): TrmigError => new TrmigError('E_INTERNAL', why);
const options = {
  root: Part.getRootAsPart,
  bytesMax: 1000,
  read: (part: Part) => ({
    name: required(part.name(), 'name'),
    role: part.role(),
    bytes: safeNumber(part.bytes(), 'bytes'),
  }),
  fault,
};

function part(name: string, bytes: bigint): Uint8Array {
  const builder = new Builder(64);
  const nameAt = builder.createString(name);
  const digestAt = builder.createString('00');
  builder.finish(Part.createPart(builder, nameAt, Role.disk_layer, bytes, digestAt));
  return builder.asUint8Array();
}

t.test('a table is read back from bytes in the middle of a larger buffer', (t) => {
  t.same(readTable(part('disk', 5n), options), { name: 'disk', role: Role.disk_layer, bytes: 5 });
  t.end();
});

t.test('a number of 2^53 or more is refused', (t) => {
  t.throws(() => readTable(part('disk', 1n << 53n), options), { message: /bytes is out of bounds/ });
  t.end();
});

t.test('a message larger than its bound is refused before it is read', (t) => {
  t.throws(() => readTable(new Uint8Array(1001), options), { message: /larger than the 1000 allowed/ });
  t.end();
});

t.test('each truncation and each flipped bit gives a value or the error asked for, never another', (t) => {
  const whole = Uint8Array.from(part('a-longer-name', 5n));
  const attempt = (bytes: Uint8Array): void => {
    try {
      readTable(bytes, options);
    } catch (error) {
      if (!(error instanceof TrmigError)) throw error;
    }
  };
  for (let length = 0; length < whole.length; length++) attempt(whole.subarray(0, length));
  for (let bit = 0; bit < whole.length * 8; bit++) {
    const damaged = Uint8Array.from(whole);
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    attempt(damaged);
  }
  t.end();
});
