// What comes from another host or a copied recording is hostile: it runs no program here, leads out of no folder, and ends in
// one error that says what is wrong with it. Real connections, no guest: all of this is refused before QEMU is started.
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { newTopLayer } from '../../src/disk/overlay.js';
import { checkSharedLayers } from '../../src/disk/index.js';
import { decodeManifest, encodeManifest } from '../../src/log/manifest.js';
import { qemuArguments } from '../../src/machine/arguments.js';
import { Home, parseForeignSpec, parseSpec, type MachineDisk } from '../../src/machine/index.js';
import { formatDiskOffer } from '../../src/migrate/disk-offer.js';
import { identity } from '../../src/migrate/identity.js';
import { checkNamedFiles } from '../../src/migrate/named-files.js';
import { receive, type ReceiveOptions } from '../../src/migrate/receiver.js';
import { receiveRecording } from '../../src/migrate/receive-recording.js';
import { connect } from '../../src/wire/connect.js';
import { encodeFrame } from '../../src/wire/parser.js';
import type { OfferFrame } from '../../src/wire/frames.js';
import { facts, folder, refusal } from '../log/support.js';
import { SAMPLES } from '../wire/samples.js';

const uuid = '6f1c2f5e-0000-4000-8000-000000000001';
const plain = { name: 'web', memory: '64M' };
const offer = (spec: string, more: Partial<OfferFrame> = {}): OfferFrame => ({
  ...SAMPLES.offer,
  migrationId: uuid,
  machine: 'web',
  mode: 'migrate',
  spec,
  disks: '',
  ...more,
});

/** How a receiver in a home of its own answers an offer: the code with which it refuses. */
async function answered(t: Test, frame: OfferFrame, more: Partial<ReceiveOptions> = {}): Promise<string> {
  const home = new Home(folder(t));
  const receiver = await receive({
    home,
    host: '127.0.0.1',
    port: 0,
    takeRecording: async (link, first) => {
      await receiveRecording(link, first, { home });
    },
    ...more,
  });
  const link = await connect('127.0.0.1', receiver.port, { identity });
  await link.send(frame);
  const first = await link.receive();
  link.destroy();
  await receiver.close();
  return first?.kind === 'refuse' ? first.code : (first?.kind ?? 'nothing');
}

t.test('an offer whose spec is none is refused as that', async (t) => {
  for (const spec of ['', '{', '[]', '"x"', '{"name":"web"}', '['.repeat(100_000)]) {
    t.equal(await answered(t, offer(spec)), 'E_SPEC', spec.slice(0, 20));
    t.equal(await answered(t, offer(spec, { mode: 'ship' })), 'E_SPEC', `shipped: ${spec.slice(0, 20)}`);
  }
});

t.test('a machine of another name than its spec, or of none that a folder may have, is refused', async (t) => {
  t.equal(await answered(t, offer(JSON.stringify(plain), { machine: '../../etc' })), 'E_SPEC');
  t.equal(await answered(t, offer(JSON.stringify(plain), { machine: '../../etc', mode: 'ship' })), 'E_MACHINE_NAME');
  t.equal(await answered(t, offer(JSON.stringify({ ...plain, name: '../x' }), { machine: '../x' })), 'E_SPEC');
});

t.test('an id that no journal would hold is refused where it comes in', async (t) => {
  const long = 'x'.repeat(65);
  const { head } = encodeFrame(offer(JSON.stringify(plain), { migrationId: long }));
  t.ok(head.includes(long));
  t.equal(await answered(t, offer(JSON.stringify(plain), { migrationId: long })), 'nothing', 'the connection is cut');
  const manifest = { ...facts, status: 'recording' as const, parts: [], quirks: 0n };
  for (const wrong of [long, '']) {
    const error = refusal(() => decodeManifest(encodeManifest({ ...manifest, uuid: wrong }), 'm'));
    t.match(error, { code: 'E_RECORDING_DAMAGED', message: /a uuid of \d+ characters/ });
  }
  t.doesNotThrow(() => decodeManifest(encodeManifest({ ...manifest, uuid: 'x'.repeat(64) }), 'm'));
});

t.test('a spec from elsewhere runs no program of its choice', async (t) => {
  const dir = folder(t);
  const ran = path.join(dir, 'ran');
  const program = path.join(dir, 'qemu');
  writeFileSync(program, `#!/bin/sh\ntouch ${ran}\necho QEMU emulator version 10.0.2\n`, { mode: 0o755 });
  const spec = { ...plain, qemu: { version: '10.0', binary: program } };
  t.equal(parseForeignSpec(JSON.stringify(spec), 'x').qemu.binary, undefined);
  // This host's own QEMU is started instead, and is not the one that the offer speaks of.
  t.equal(await answered(t, offer(JSON.stringify(spec), { qemu: '10.0.99' })), 'E_QEMU_VERSION');
  t.notOk(existsSync(ran), 'it did not run');
  t.equal(parseSpec(JSON.stringify(spec), { base: '/', source: 'x' }).qemu.binary, program, "a person's own may");
});

t.test('what a spec says stays one word, or one value, of the command line', async (t) => {
  const spec = {
    ...plain,
    kernel: '/a,b/../vm -S,linuz',
    initrd: '-initrd,file=/etc/shadow',
    append: '-monitor stdio,x=y "\\',
    disks: [{ file: '/d,if=none,file=/etc/shadow', format: 'raw' }],
  };
  const parsed = parseForeignSpec(JSON.stringify(spec), 'x');
  const paths = new Home('/state').machine('web');
  const disk: MachineDisk = {
    spec: parsed.disks[0]!,
    readonly: false,
    layers: [{ id: uuid, file: parsed.disks[0]!.file, format: 'raw', includes: [], origin: 'spec', shared: false }],
  };
  const words = qemuArguments(parsed, { paths, tracer: null, paused: true, disks: [disk] });
  const after = (option: string): string | undefined => words[words.indexOf(option) + 1];
  t.equal(after('-kernel'), '/vm -S,linuz', 'QEMU takes the word behind -kernel as it is');
  t.equal(after('-initrd'), '/-initrd,file=/etc/shadow', 'no path begins with a dash');
  t.equal(after('-append'), spec.append);
  const nodes = words.filter((word) => word.includes('shadow') && word.startsWith('{'));
  t.ok(nodes.length > 0);
  for (const node of nodes)
    t.doesNotThrow(() => JSON.parse(node) as unknown, 'a disk is JSON, which commas do not cut');
  for (const wrong of [{ cpu: 'max,x=y' }, { devices: ['loader,file=/etc/shadow'] }, { accel: '-S' }, { name: '-S' }]) {
    t.throws(() => parseForeignSpec(JSON.stringify({ ...plain, ...wrong }), 'x'), { code: 'E_SPEC' });
  }
});

t.test('with folders given, kernel, initrd and shared disks lie in them, wherever their links lead', async (t) => {
  const dir = folder(t);
  const [inside, outside] = [path.join(dir, 'in'), path.join(dir, 'inside-out')];
  for (const made of [inside, outside]) mkdirSync(made);
  for (const file of [path.join(inside, 'linux'), path.join(outside, 'secret')]) writeFileSync(file, 'x');
  symlinkSync(path.join(outside, 'secret'), path.join(inside, 'link'));
  const named = (more: object, disks = ''): Promise<void> =>
    checkNamedFiles(parseForeignSpec(JSON.stringify({ ...plain, ...more }), 'x'), disks, [inside]);
  const refused = { code: 'E_FILES_REFUSED' };
  await t.resolves(named({ kernel: `${inside}/linux` }));
  await t.resolves(named({}));
  for (const file of [
    `${outside}/secret`,
    `${inside}/../inside-out/secret`,
    `${inside}/link`,
    `${inside}/none`,
    inside,
  ]) {
    await t.rejects(named({ kernel: file }), refused, file);
    await t.rejects(named({ kernel: `${inside}/linux`, initrd: file }), refused, `initrd ${file}`);
  }
  const spec = { file: `${outside}/secret`, format: 'raw', readonly: false, shared: true } as const;
  const layer = { id: uuid, file: spec.file, format: 'raw', includes: [], origin: 'spec', shared: true } as const;
  const disks = formatDiskOffer([
    { disk: { spec, readonly: false, layers: [layer] }, virtualBytes: 1, top: uuid.replace('1', '2'), layerBytes: [1] },
  ]);
  // What the spec says is not what counts, but what the layers say.
  await t.rejects(named({ disks: [{ file: `${inside}/linux`, format: 'raw' }] }, disks), refused);
  const kernel = JSON.stringify({ ...plain, kernel: `${outside}/secret` });
  t.equal(await answered(t, offer(kernel), { files: [inside] }), 'E_FILES_REFUSED', 'and over a connection');
});

t.test("a shared disk's own file is not called made: what is made goes with the machine", async (t) => {
  const dir = folder(t);
  const file = path.join(dir, 'root.raw');
  writeFileSync(file, Buffer.alloc(1 << 20));
  const spec = { file, format: 'raw', readonly: false, shared: true } as const;
  const layer = { id: uuid, file, format: 'raw', includes: [], shared: true } as const;
  const disk = (origin: 'spec' | 'made'): MachineDisk => ({ spec, readonly: false, layers: [{ ...layer, origin }] });
  await t.resolves(checkSharedLayers(disk('spec'), 1 << 20));
  await t.rejects(checkSharedLayers(disk('made'), 1 << 20), { code: 'E_LAYER_REFUSED' });
  const over = { ...newTopLayer(new Home(dir).machine('web'), disk('spec'), uuid), origin: 'spec' as const };
  const [base] = disk('spec').layers;
  const both = { spec, readonly: false, layers: [base!, over] };
  await t.rejects(checkSharedLayers(both, 1 << 20), { code: 'E_LAYER_REFUSED', message: /not called made/ });
});
