import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { checkFiles, formatSpec, loadSpec, parseSpec, type MachineSpec } from '../../src/machine/spec.js';
import { TrmigError } from '../../src/errors.js';
import { codeOf, temporaryFolder, thrownBy } from './fake-peer.js';
import { anyValue, damaged, seeded } from './random.js';

const options = { base: '/specs', source: 'web.yaml' };
const parse = (text: string): MachineSpec => parseSpec(text, options);
const refused = (text: string): string => {
  const error = thrownBy(() => parse(text));
  if (error.code !== 'E_SPEC') throw error;
  return error.message;
};

const full = `
format: 1
name: web
strategy: trace
qemu: { version: '10.0', binary: bin/qemu }
arch: x86_64
board: q35
hpet: off
cpu: max
memory: 1.5G
smp: 1
accel: tcg
shift: 1
rtc: host
kernel: vmlinuz
initrd: ../initramfs
append: console=ttyS0, quiet
disks:
  - { file: root.qcow2, format: qcow2 }
  - { file: /dev/sdb, format: raw, readonly: on }
nics:
  - { backend: tap, interface: tap0, mac: 52:54:00:A0:00:01 }
  - { backend: user, mac: 52:54:00:a0:00:02 }
devices: [virtio-rng]
console: serial
`;

t.test('a spec of two lines is complete', (t) => {
  t.strictSame(parse('name: web\nmemory: 256M'), {
    format: 1,
    name: 'web',
    strategy: 'trace',
    qemu: { version: '10.0' },
    arch: 'x86_64',
    board: 'pc',
    hpet: false,
    cpu: 'qemu64',
    memoryBytes: 256 * 1024 * 1024,
    smp: 1,
    accel: 'tcg',
    rtc: 'host',
    disks: [],
    nics: [],
    devices: [],
    console: 'serial',
  });
  t.end();
});

t.test('paths are relative to the spec, and every field is read', (t) => {
  const spec = parse(full);
  t.equal(spec.qemu.binary, '/specs/bin/qemu');
  t.equal(spec.kernel, '/specs/vmlinuz');
  t.equal(spec.initrd, '/initramfs');
  t.same(
    spec.disks.map((disk) => [disk.file, disk.readonly]),
    [
      ['/specs/root.qcow2', false],
      ['/dev/sdb', true],
    ],
  );
  t.same(spec.nics[0], { backend: 'tap', interface: 'tap0', mac: '52:54:00:a0:00:01' });
  t.equal(spec.memoryBytes, 1536 * 1024 * 1024);
  t.end();
});

t.test('the stored form reads back as the same spec, from anywhere', (t) => {
  for (const text of [full, 'name: a\nmemory: 4096K', 'name: a\nmemory: 1052672']) {
    const spec = parse(text);
    t.strictSame(parseSpec(formatSpec(spec), { base: '/elsewhere', source: 'stored' }), spec);
  }
  t.end();
});

t.test('board and CPU follow the architecture', (t) => {
  const arm = parse('name: a\narch: aarch64\nmemory: 64M\nkernel: k');
  t.match(arm, { arch: 'aarch64', board: 'virt', cpu: 'cortex-a57' });
  t.strictSame(parseSpec(formatSpec(arm), { base: '/elsewhere', source: 'stored' }), arm);
  t.equal(parse('name: a\narch: aarch64\nmemory: 64M\nkernel: k\ncpu: max').cpu, 'max');
  t.match(
    refused('name: a\narch: aarch64\nboard: pc\nmemory: 64M\nkernel: k'),
    /pc is not a board for aarch64; use virt$/,
  );
  t.match(refused('name: a\narch: aarch64\nboard: q35\nmemory: 64M\nkernel: k'), /q35 .*use virt$/);
  t.match(refused('name: a\narch: aarch64\nmemory: 64M'), /kernel: is missing: a virt machine has no firmware/);
  t.match(refused('name: a\narch: riscv64\nmemory: 64M'), /^web\.yaml: arch: /);
  t.end();
});

t.test('all problems are told at once, each with its path', (t) => {
  const message = refused(`
name: Web
memroy: 256M
board: virt
smp: 0
shift: 11
initrd: x
qemu: { version: 10.0, path: x }
disks: [{ file: a, format: vmdk }, { file: 'b', format: raw, cache: none }]
nics: [{ backend: tap, interface: tap0, mac: 01:00:00:00:00:01 }, { backend: user, mac: 01:00:00:00:00:01 }]
`);
  for (const said of [
    /^web\.yaml:\n/,
    /- name: use \[a-z0-9\]/,
    /- memroy: there is no such field/,
    /- memory: is missing/,
    /- board: virt is not a board for x86_64; use pc or q35/,
    /- smp: use a whole number from 1 to 255/,
    /- shift: use a whole number from 0 to 10/,
    /- initrd: needs a kernel/,
    /- qemu\.version: quote the version/,
    /- qemu\.path: there is no such field/,
    /- disks\[0\]\.format: /,
    /- disks\[1\]\.cache: there is no such field/,
    /- nics\[0\]\.mac: this is a multicast address/,
    /- nics\[1\]\.mac: another nic has this address/,
  ]) {
    t.match(message, said);
  }
  t.end();
});

t.test('one problem makes one line', (t) => {
  t.equal(refused('name: web\nmemory: lots'), "web.yaml: memory: 'lots' is not a size; use one such as 256M or 2G");
  t.match(refused('name: web\nmemory: 1000'), /out of bounds \(1M to 4T\)/);
  t.match(refused('name: web\nmemory: 9T'), /out of bounds/);
  t.match(refused('name: web\nmemory: 1048577'), /whole number of 4 KiB pages/);
  t.match(refused('name: web\nmemory: -1'), /is not a size/);
  t.match(refused('name: web\nmemory: 64M\nappend: "a\\nb"\nkernel: k'), /one line/);
  t.match(refused('name: web\nmemory: 64M\ncpu: max,+x'), /cpu: use letters/);
  t.match(
    refused('name: web\nmemory: 64M\nnics: [{ backend: tap, interface: t }]'),
    /nics\[0\]\.mac: a nic needs a mac/,
  );
  t.match(
    refused('name: web\nmemory: 64M\nnics: [{ backend: bridge, mac: 52:54:00:a0:00:01 }]'),
    /use backend: tap or/,
  );
  t.match(refused('format: 2\nname: web\nmemory: 64M'), /format: this trmig reads format 1/);
  t.end();
});

t.test('what is no spec at all is refused', (t) => {
  t.match(refused(''), /a spec is a mapping/);
  t.match(refused('- a'), /a spec is a mapping/);
  t.match(refused('name: a\nname: b'), /unique/i);
  t.match(refused('name: !!js/function a'), /tag/i);
  t.match(refused('a: ['), /./);
  for (const nest of ['[', '{a: ', '- ', '? ', '[{a: ']) {
    for (const times of [50, 1000, 10_000])
      t.match(refused(nest.repeat(times)), /nested too deeply/, `${nest} × ${times}`);
  }
  t.match(refused('x'.repeat(300_000)), /longer than/);
  const bomb = [
    'a: &a [x,x,x,x,x,x,x,x,x]',
    ...'bcdefghi'.split('').map((c, i) => `${c}: &${c} [${Array(9).fill(`*${'abcdefgh'[i]}`).join()}]`),
  ];
  t.match(refused(bomb.join('\n')), /alias/i);
  t.match(refused('__proto__: { name: web }\nmemory: 64M'), /name/);
  t.end();
});

t.test('a spec file is loaded from its folder; one that cannot be read is named', async (t) => {
  const folder = temporaryFolder(t);
  const file = path.join(folder, 'web.json');
  writeFileSync(file, '{"name":"web","memory":"64M","kernel":"k"}');
  const spec = await loadSpec(file);
  t.equal(spec.kernel, path.join(folder, 'k'));
  await t.rejects(checkFiles(spec), { code: 'E_SPEC', message: /kernel: there is no .*\/k$/ });
  await t.rejects(checkFiles({ ...spec, kernel: folder }), { code: 'E_SPEC', message: /is not a file/ });
  await t.resolves(checkFiles({ ...spec, kernel: file }));
  await t.rejects(loadSpec(path.join(folder, 'none')), { code: 'E_SPEC', message: /cannot be read: ENOENT/ });
  await t.rejects(loadSpec(folder), { code: 'E_SPEC', message: /EISDIR/ });
  t.equal(await codeOf(loadSpec('/dev/zero')), 'E_SPEC', 'an endless file is not read to its end');
});

t.test('the example of docs/spec.md is a spec', (t) => {
  const text = readFileSync('docs/spec.md', 'utf8');
  const examples = [...text.matchAll(/```yaml\n([\s\S]*?)```/g)].map((match) => match[1]!);
  t.ok(examples.length >= 2);
  for (const example of examples) t.ok(parse(example).name);
  t.end();
});

t.test('damaged specs are refused or read, never worse (2000 seeds)', (t) => {
  const fields = [...full.matchAll(/^(\w+):/gm)].map((match) => match[1]!);
  for (let seed = 1; seed <= 2000; seed++) {
    const random = seeded(seed);
    const odd = (): string =>
      JSON.stringify(Object.fromEntries(fields.filter(() => random() < 0.3).map((field) => [field, anyValue(random)])));
    const text = random() < 0.5 ? damaged(Buffer.from(full), random).toString('utf8') : odd();
    try {
      const spec = parse(text);
      const again = parse(formatSpec(spec));
      if (JSON.stringify(again) !== JSON.stringify(spec)) t.strictSame(again, spec, `reads back, seed ${seed}`);
    } catch (error) {
      if (!(error instanceof TrmigError) || error.code !== 'E_SPEC') t.fail(`seed ${seed}: ${String(error)}`);
    }
  }
  t.end();
});
