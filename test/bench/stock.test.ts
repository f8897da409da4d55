// The stock machine that QEMU's own migration is measured on.
import t from 'tap';
import { chainOf, stockArguments, stockDiskNode } from '../../bench/stock.js';
import { Home, checkSpec, qemuArguments } from '../../src/machine/index.js';

t.test('a stock machine has the same devices, and nothing of what a replay needs', async (t) => {
  const spec = checkSpec(
    {
      ...{ name: 'guest', memory: '256M' },
      disks: [{ file: '/d.raw', format: 'raw' }],
      nics: [{ backend: 'tap', interface: 'tap0', mac: '52:54:00:77:00:10' }],
    },
    { base: '/', source: 'test' },
  );
  const paths = new Home('/h').machine('guest');
  const args = qemuArguments(spec, { paths, tracer: null, paused: false, disks: [chainOf('/d.raw')] });
  const stock = stockArguments(args);
  t.match(args.join(' '), /blkreplay.*filter-replay/);
  t.notMatch(stock.join(' '), /replay/);
  t.ok(stock.includes(`virtio-blk-pci,id=disk0-device,drive=${stockDiskNode},ioeventfd=off`));
  t.equal(stock.length, args.length - 4, 'two options less');
});
