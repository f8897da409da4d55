// disks.json, the chains that a machine starts with, and the headers of qcow2 files that nobody should trust.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { TrmigError } from '../../src/errors.js';
import { formatDisks, parseDisks, readDisks, writeDisks, type MachineDisk } from '../../src/machine/disks-file.js';
import { Home, type MachinePaths } from '../../src/machine/home.js';
import { parseQcow2Header } from '../../src/machine/qcow2-header.js';
import { checkLayerFiles, diskOfSpec, disksForStart } from '../../src/machine/start-disks.js';
import { temporaryFolder } from './fake-peer.js';
import { anyValue, damaged, seeded } from './random.js';

const id = (n: number): string => `${String(n).padStart(8, '0')}-0000-4000-8000-000000000000`;
const spec = { file: '/s/root.raw', format: 'raw', readonly: false, shared: false } as const;
const base = { id: id(1), file: '/s/root.raw', format: 'raw', includes: [], origin: 'spec', shared: false } as const;
const over = { ...base, id: id(2), file: '/h/over.qcow2', format: 'qcow2', includes: [id(3)], origin: 'made' } as const;
const frozen = { bytes: 4096, digest: 'ab'.repeat(16), mtimeNs: '1700000000000000000' };
const disk: MachineDisk = { spec, readonly: false, layers: [{ ...base, frozen }, over] };

interface HeaderOptions {
  readonly backing?: string;
  readonly backingFormat?: string;
  readonly incompatible?: bigint;
  readonly crypt?: number;
  readonly extensions?: readonly (readonly [number, string])[];
}

/** The first cluster of a qcow2 file of 1 MiB. */
function header(options: HeaderOptions = {}): Buffer {
  const { backing, backingFormat, incompatible = 0n, crypt = 0, extensions = [] } = options;
  const bytes = Buffer.alloc(65536);
  bytes.writeUInt32BE(0x514649fb, 0);
  bytes.writeUInt32BE(3, 4);
  bytes.writeUInt32BE(16, 20);
  bytes.writeBigUInt64BE(1048576n, 24);
  bytes.writeUInt32BE(crypt, 32);
  bytes.writeBigUInt64BE(incompatible, 72);
  bytes.writeUInt32BE(104, 100);
  let at = 104;
  const all = [...(backingFormat === undefined ? [] : [[0xe2792aca, backingFormat] as const]), ...extensions];
  for (const [type, text] of all) {
    bytes.writeUInt32BE(type, at);
    bytes.writeUInt32BE(text.length, at + 4);
    bytes.write(text, at + 8);
    at += 8 + Math.ceil(text.length / 8) * 8;
  }
  if (backing !== undefined) {
    bytes.writeBigUInt64BE(BigInt(at + 8), 8);
    bytes.writeUInt32BE(backing.length, 16);
    bytes.write(backing, at + 8);
  }
  return bytes;
}

function machine(t: Test): MachinePaths {
  const paths = new Home(temporaryFolder(t)).machine('web');
  mkdirSync(paths.folder, { recursive: true });
  return paths;
}

t.test('disks.json comes back as it was written, and a missing one is null', async (t) => {
  const paths = machine(t);
  t.equal(await readDisks(paths), null);
  await writeDisks(paths, [disk]);
  t.same(await readDisks(paths), [disk]);
  await t.rejects(writeDisks(paths, [{ ...disk, layers: [over, { ...base, format: 'raw' }] }]), { code: 'E_DISKS' });
  t.same(await readDisks(paths), [disk], 'what nobody could read is not written');
});

t.test('what is no record of disks is refused with its place', (t) => {
  const refused = (value: unknown, message: RegExp): void => {
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    t.throws(() => parseDisks(text, 'x.json'), { code: 'E_DISKS', message });
  };
  const one = (change: object): object => ({ format: 1, disks: [{ ...disk, layers: [{ ...base, ...change }] }] });
  refused('{', /^x\.json: it is not JSON/);
  refused({ format: 2, disks: [] }, /format: this trmig reads format 1/);
  refused(one({ file: 'relative' }), /disks\.0\.layers\.0\.file: not an absolute path/);
  refused(one({ file: '/a\nb' }), /not an absolute path/);
  refused(one({ id: '../../etc' }), /not a UUID/);
  refused(one({ more: 1 }), /Unrecognized key/);
  refused({ format: 1, disks: [{ ...disk, layers: [] }] }, /layers/);
  refused({ format: 1, disks: [{ ...disk, layers: [base, { ...over, includes: [id(1)] }] }] }, /is there twice/);
  refused({ format: 1, disks: [{ ...disk, layers: [base, { ...base, id: id(9) }] }] }, /a raw layer cannot lie on/);
  refused({ format: 1, disks: [disk, { ...disk, layers: [{ ...over, id: id(7), includes: [] }] }] }, /two disks write/);
  t.end();
});

t.test('damaged records are read or refused (3000 seeds)', (t) => {
  const whole = Buffer.from(formatDisks([disk]));
  for (let seed = 1; seed <= 3000; seed++) {
    const random = seeded(seed);
    const text = seed % 2 === 0 ? damaged(whole, random).toString('utf8') : JSON.stringify(anyValue(random));
    try {
      parseDisks(text, 'test');
    } catch (error) {
      if (!(error instanceof TrmigError) || error.code !== 'E_DISKS') t.fail(`seed ${seed}: ${String(error)}`);
    }
  }
  t.end();
});

t.test('the first start makes the chains from the spec, later ones keep them', async (t) => {
  const paths = machine(t);
  t.same(await disksForStart(paths, []), []);
  t.notOk(existsSync(paths.disks), 'without disks there is nothing to write down');
  const first = await disksForStart(paths, [spec]);
  t.match(first, [{ readonly: false, layers: [{ file: '/s/root.raw', origin: 'spec', includes: [] }] }]);
  t.same(await disksForStart(paths, [spec]), first, 'the same ids');
  const other = { ...spec, file: '/s/other.raw' };
  t.match(await disksForStart(paths, [other]), [{ layers: [{ file: '/s/other.raw' }] }], 'nothing lay on them');
  await writeDisks(paths, [disk]);
  await t.rejects(disksForStart(paths, [other]), { code: 'E_DISKS', message: /names other disks/ });
  t.same(await disksForStart(paths, [spec]), [disk]);
});

t.test("a qcow2 file's own backing files are followed once", async (t) => {
  const folder = temporaryFolder(t);
  const at = (name: string): string => path.join(folder, name);
  writeFileSync(at('golden.raw'), 'x');
  writeFileSync(at('mid'), header({ backing: 'golden.raw', backingFormat: 'raw' }));
  writeFileSync(at('top'), header({ backing: at('mid'), backingFormat: 'qcow2' }));
  const made = await diskOfSpec({ file: at('top'), format: 'qcow2', readonly: false, shared: false });
  t.same(
    made.layers.map(({ file, format, origin }) => [path.basename(file), format, origin]),
    [
      ['golden.raw', 'raw', 'backing'],
      ['mid', 'qcow2', 'backing'],
      ['top', 'qcow2', 'spec'],
    ],
  );
  const refused = async (bytes: Buffer, message: RegExp): Promise<void> => {
    writeFileSync(at('odd'), bytes);
    const asked = diskOfSpec({ file: at('odd'), format: 'qcow2', readonly: false, shared: false });
    await t.rejects(asked, { code: 'E_LAYER_REFUSED', message });
  };
  await refused(header({ backing: 'nbd://host/x', backingFormat: 'raw' }), /is not a path/);
  await refused(header({ backing: 'json:{}', backingFormat: 'raw' }), /is not a path/);
  await refused(header({ backing: 'mid' }), /does not say that its backing file is raw or qcow2/);
  await refused(header({ backing: 'odd', backingFormat: 'qcow2' }), /more than 256 backing files/);
  await refused(header({ crypt: 2 }), /encrypted/);
  await refused(header({ incompatible: 4n }), /in another file/);
  await refused(Buffer.from('not at all'), /is not a qcow2 file/);
});

t.test('missing layers are named before QEMU starts', async (t) => {
  const file = path.join(temporaryFolder(t), 'top');
  const chain = { ...disk, layers: [base, { ...over, file }] };
  await t.rejects(checkLayerFiles([chain], false), { code: 'E_DISKS', message: /root\.raw, .*top$/ });
  writeFileSync(file, '');
  await t.rejects(checkLayerFiles([chain], false), { message: /not there: \/s\/root\.raw$/ });
  await t.resolves(checkLayerFiles([chain], true), 'a destination opens the top alone');
});

t.test('a qcow2 header says what it names', (t) => {
  t.match(parseQcow2Header(header()), {
    virtualBytes: 1048576,
    clusterBytes: 65536,
    backingFile: null,
    corrupt: false,
  });
  const named = parseQcow2Header(header({ backing: '/etc/shadow', backingFormat: 'raw' }));
  t.match(named, { backingFile: '/etc/shadow', backingFormat: 'raw' });
  t.match(parseQcow2Header(header({ extensions: [[0x44415441, '/dev/sda']] })), { externalData: true });
  t.match(
    parseQcow2Header(
      header({
        extensions: [
          [7, 'unknown'],
          [0x0537be77, 'x'.repeat(16)],
        ],
      }),
    ),
    { encrypted: true },
  );
  t.match(parseQcow2Header(header({ incompatible: 2n })), { corrupt: true });
  t.match(parseQcow2Header(header({ incompatible: 16n })), { corrupt: false }, 'extended L2 entries');
  t.equal(parseQcow2Header(header({ incompatible: 32n })), 'it needs features (0x20) of a newer QEMU');
  const emptied = header({ backing: 'x' });
  emptied.writeUInt32BE(0, 16);
  t.match(parseQcow2Header(emptied), { backingFile: null }, 'a name that was taken away');
  const far = header({ backing: 'x' });
  far.writeBigUInt64BE(65536n, 8);
  t.match(parseQcow2Header(far), /lies outside/);
  const long = header({ extensions: [[7, 'x']] });
  long.writeUInt32BE(65536, 108);
  t.match(parseQcow2Header(long), /too long/);
  t.end();
});

t.test('damaged headers are parsed or refused (20000 seeds)', (t) => {
  const whole = header({ backing: '/etc/shadow', backingFormat: 'qcow2', extensions: [[0x44415441, '/dev/sda']] });
  for (let seed = 1; seed <= 20000; seed++) {
    const random = seeded(seed);
    // The bytes that matter are the first few hundred: damage goes there.
    const head = damaged(whole.subarray(0, 200), random);
    const bytes = Buffer.concat([head, whole.subarray(200, 200 + Math.floor(random() * 400))]);
    try {
      const parsed = parseQcow2Header(bytes);
      if (typeof parsed !== 'string' && !(parsed.virtualBytes >= 0)) t.fail(`seed ${seed}: half a header`);
    } catch (error) {
      t.fail(`seed ${seed}: ${String(error)}`);
    }
  }
  t.end();
});

t.test('a spec takes `shared`, off by default', async (t) => {
  const paths = machine(t);
  t.notOk(existsSync(paths.layers));
  await writeDisks(paths, [{ ...disk, spec: { ...spec, shared: true } }]);
  t.match(readFileSync(paths.disks, 'utf8'), /"shared": true/);
});
