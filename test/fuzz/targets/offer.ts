// What an offer or a recording says about a machine in JSON of its own: the spec, then, behind a zero byte, the disks. What is
// accepted names no program, and keeps its own layers in this host's folder.
import { arrivingDisk } from '../../../src/disk/index.js';
import { Home } from '../../../src/machine/home.js';
import { formatSpec, parseForeignSpec } from '../../../src/machine/index.js';
import { qemuArguments } from '../../../src/machine/arguments.js';
import { formatDiskOffer, parseDiskOffer } from '../../../src/migrate/disk-offer.js';
import { attempt, must, type Target } from '../target.js';

const spec = {
  name: 'web',
  memory: '64M',
  kernel: '/boot/vmlinuz',
  append: 'console=ttyS0',
  qemu: { version: '10.0', binary: '/bin/sh' },
  disks: [{ file: '/vm/a.qcow2', format: 'qcow2' }],
};
const id = (n: number): string => `1f0e7a52-8c6d-4b6e-8f27-5a4d3c2b1a0${n}`;
const disks = formatDiskOffer([
  {
    disk: {
      spec: { file: '/vm/a.qcow2', format: 'qcow2', readonly: false, shared: false },
      readonly: false,
      layers: [{ id: id(1), file: '/vm/a.qcow2', format: 'qcow2', includes: [], origin: 'spec', shared: false }],
    },
    virtualBytes: 4096,
    top: id(2),
    layerBytes: [512],
  },
]);
const paths = new Home('/state').machine('web');

export const target: Target = {
  seeds: () => [
    Buffer.from(`${JSON.stringify(spec)}\0${disks}`),
    Buffer.from(`${JSON.stringify({ ...spec, disks: [], nics: [{ backend: 'user', mac: '52:54:00:00:00:01' }] })}\0`),
  ],
  run: (bytes) => {
    const [specText = '', diskText = ''] = bytes.toString('utf8').split('\0');
    const offered = attempt(() => parseForeignSpec(specText, 'the spec'));
    if (offered === undefined) return;
    must(offered.qemu.binary === undefined, 'it names a program');
    parseForeignSpec(formatSpec(offered), 'again');
    const arriving = attempt(() => parseDiskOffer(diskText, offered.disks.length));
    if (arriving === undefined) return;
    const chains = arriving.map(({ disk }) => arrivingDisk(paths, disk, []).disk);
    for (const layer of chains.flatMap(({ layers }) => layers)) {
      must(layer.shared || layer.file.startsWith(`${paths.layers}/`), 'a layer of its own lies elsewhere');
    }
    const words = qemuArguments(offered, { paths, tracer: null, paused: true, disks: chains });
    must(!words.some((word) => word.includes('\0')), 'a word of the command line holds a zero');
  },
};
