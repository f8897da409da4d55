// A guest that resets itself, again and again, within its log: the replay resets where it did.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { Machine, parseSpec, type Architecture } from '../../src/machine/index.js';
import { generously, guestFile, stage, until } from './stage.js';
import { Replay, record } from './tape.js';

for (const arch of ['x86_64', 'aarch64'] satisfies Architecture[]) {
  t.test(`resets of an ${arch} guest are replayed`, generously, async (t) => {
    const { a, b } = stage(t);
    const spec = {
      name: 'm',
      arch,
      memory: '128M',
      kernel: guestFile(arch, 'vmlinuz'),
      initrd: guestFile(arch, 'initramfs.cpio.gz'),
      // Its first process ends at once: the kernel panics, and resets the machine.
      append: `console=${arch === 'x86_64' ? 'ttyS0' : 'ttyAMA0'} quiet panic=-1 rdinit=/bin/busybox`,
    };
    const machine = await Machine.start(parseSpec(JSON.stringify(spec), { base: '/', source: 'test' }), { home: a });
    const panics = (): number => readFileSync(machine.consoleLog, 'latin1').split('Kernel panic').length - 1;
    await until('it has reset', () => panics() > 0);
    const before = panics();
    const recorded = await record(
      machine,
      2,
      until('it has reset once more', () => panics() >= before + 2),
    );
    const replay = await Replay.begin(t, b, recorded);
    const { icount, registers, devices } = recorded.finish;
    t.match(await replay.play(recorded.frames), {
      event: 'reached',
      data: { final: true, why: 'final', icount, registers, devices },
    });
    t.same(await replay.machine.tracer.digest({ ram: true }), recorded.digest, 'registers, devices and all memory');
    await machine.stop({ graceful: false });
  });
}
