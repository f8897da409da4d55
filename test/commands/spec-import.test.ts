// `trmig spec from-qemu` and `from-libvirt` as a process: where the spec goes, where the findings go, what the exit code says.
import { readFile, writeFile } from 'node:fs/promises';
import t from 'tap';
import { loadSpec } from '../../src/index.js';
import { Cli, errorOf } from './support.js';

const words = [
  '-name',
  'web',
  '-m',
  '1G',
  '-drive',
  'file=/d.qcow2,if=virtio,format=qcow2',
  '-nic',
  'none',
  '--nographic',
];
const xml = `<domain type='kvm'><name>web</name><memory>1048576</memory><devices/></domain>`;

t.test('the spec is on stdout, the findings are on stderr', async (t) => {
  const cli = await Cli.make(t);
  const { code, stdout, stderr } = await cli.run(
    'spec',
    'from-qemu',
    '--',
    'qemu-system-x86_64',
    '-smp',
    '2',
    ...words,
  );
  t.equal(code, 0, stderr);
  t.equal(stdout, 'name: web\nmemory: 1G\ndisks:\n  - file: /d.qcow2\n    format: qcow2\n');
  t.match(stderr, /^changed +-smp 2 +smp: 1 +a log replays on one vCPU only/m);
  t.match(stderr, /^kept +-m 1G +memory: 1G$/m);
});

t.test('in JSON there are fields for it', async (t) => {
  const cli = await Cli.make(t);
  const { code, json, stderr } = await cli.run('spec', 'from-qemu', '--json', '--name', 'db', '--', ...words);
  t.equal(code, 0);
  t.equal(stderr, '');
  t.match(json, [{ spec: { name: 'db', memory: '1G' }, output: null, error: null }]);
  const { findings } = json[0] as { findings: object[] };
  t.match(findings[0], { input: '-name web', verdict: 'changed', spec: 'name: db', reason: String });
  for (const finding of findings) t.same(Object.keys(finding), ['input', 'verdict', 'spec', 'reason']);
});

t.test('what a person must decide is the exit code, the error and a comment in the spec', async (t) => {
  const cli = await Cli.make(t);
  const argv = ['spec', 'from-qemu', '--', 'qemu-system-x86_64', ...words, '-bios', 'x.bin', '-hda', 'x.img', '--json'];
  const { code, stdout, stderr } = await cli.run(...argv);
  t.equal(code, 1);
  t.match(stdout, /^# to decide: -bios x\.bin: a spec has no field for firmware.*\n/);
  t.match(stdout, /^# to decide: disks\[1\]\.format: is missing$/m);
  t.match(stderr, /^error: this command line does not fit a spec as it is:$/m);
  t.match(stderr, /^ {2}- --json: this is no option of QEMU/m);
  t.match(stderr, /\(E_IMPORT\)\nhint: /);
});

t.test('a file is written, once', async (t) => {
  const cli = await Cli.make(t);
  const [from, to] = [cli.file('web.xml'), cli.file('web.yaml')];
  await writeFile(from, xml);
  const { code, stdout } = await cli.run('spec', 'from-libvirt', from, '--output', to);
  t.equal(code, 0);
  t.match(stdout, `The spec is in ${to}`);
  t.match(await loadSpec(to), { name: 'web', memoryBytes: 2 ** 30, console: 'none' });
  const again = await cli.run('spec', 'from-libvirt', from, '--output', to, '--json');
  t.match(errorOf(again), { code: 'E_FILE_ACCESS', message: /there already/ });
  t.match(await readFile(to, 'utf8'), /^name: web\n/);
});

t.test('what cannot be read is one error', async (t) => {
  const cli = await Cli.make(t);
  t.match(errorOf(await cli.run('spec', 'from-libvirt', cli.file('none.xml'), '--json')), { code: 'E_FILE_ACCESS' });
  t.match(errorOf(await cli.run('spec', 'from-libvirt', '/dev/zero', '--json')), { code: 'E_USAGE', message: /bytes/ });
  await writeFile(cli.file('x'), 'no xml');
  t.match(errorOf(await cli.run('spec', 'from-libvirt', cli.file('x'), '--json')), { code: 'E_IMPORT', hint: /virsh/ });
  t.match(errorOf(await cli.run('spec', 'from-qemu', '--json')), { code: 'E_USAGE' });
  t.match(errorOf(await cli.run('spec', 'from-qemu', '--json', '--name', 'A B', '--', ...words)), {
    code: 'E_MACHINE_NAME',
  });
});
