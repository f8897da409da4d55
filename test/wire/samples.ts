// One frame of each kind, with every field set to something that a wrong field order would show.
import type { Frame, FrameKind, FrameOf } from '../../src/wire/frames.js';

export const SAMPLES: { readonly [K in FrameKind]: FrameOf<K> } = {
  hello: { kind: 'hello', versionMin: 1, versionMax: 3, trmig: '0.1.0', host: 'red', capabilities: ['verify', 'x'] },
  welcome: { kind: 'welcome', version: 2, trmig: '0.2.0', host: 'blue', capabilities: [] },
  refuse: { kind: 'refuse', code: 'E_WIRE_VERSION', message: 'too old', hint: 'upgrade' },
  offer: {
    kind: 'offer',
    migrationId: '3e0bbb5c-2d4c-4d0f-a1f2-b7a13ab5c6f1',
    machine: 'm1',
    mode: 'ship',
    verify: true,
    spec: '{"memory":"256M"}',
    qemu: '10.0.2',
    target: 'x86_64',
    blocks: [
      { name: 'pc.ram', bytes: 268435456, pageBytes: 4096 },
      { name: 'bios', bytes: 262144, pageBytes: 4096 },
    ],
    sourceHost: '10.0.0.1',
    sourcePort: 7070,
    disks: '[]',
    epoch: 7,
  },
  accept: { kind: 'accept', migrationId: 'id', have: ['6f1c'] },
  checkpoint: { kind: 'checkpoint', shift: 1, virtualNs: 2 ** 52 + 1, hostNs: 77, deviceState: Buffer.from('state') },
  imageChunk: {
    kind: 'imageChunk',
    block: 1,
    firstPage: 512,
    pageCount: 256,
    pages: Uint32Array.of(0, 7, 255),
    rawBytes: 12288,
    checksum: 0xfedcba9876543210n,
    compressed: Buffer.from('pages'),
  },
  imageEnd: { kind: 'imageEnd', pages: 65536, chunks: 256, digest: '0123abcd' },
  layerBegin: { kind: 'layerBegin', layer: '6f1c', bytes: 2 ** 40, number: 3 },
  layerChunk: {
    kind: 'layerChunk',
    layer: 3,
    firstPage: 256,
    pageCount: 256,
    pages: Uint32Array.of(1, 2),
    rawBytes: 8192,
    checksum: 7n,
    compressed: Buffer.from('disk'),
  },
  layerEnd: { kind: 'layerEnd', layer: '6f1c', chunks: 3, digest: 'cafe' },
  segment: {
    kind: 'segment',
    seq: 9,
    from: 2 ** 40,
    to: 2 ** 40 + 5,
    events: 12,
    canary: 0xffffffffffffffffn,
    final: true,
    virtualNs: 123456789,
    hostNs: 987654321,
    checksum: 1n,
    encoding: 'zstd',
    rawBytes: 4000,
    bytes: Buffer.from('log'),
  },
  log: { kind: 'log', bytes: Buffer.from('a lean segment') },
  progress: {
    kind: 'progress',
    phase: 'replaying',
    seq: 8,
    icount: 1000,
    virtualNs: 2000,
    hostNs: 3000,
    receivedBytes: 4000,
    restoredBytes: 5000,
    replaySpeed: 1.5e9,
  },
  ping: { kind: 'ping', token: 4294967295 },
  pong: { kind: 'pong', token: 1, receivedBytes: 2 ** 33 },
  ack: { kind: 'ack', received: 2 ** 35 },
  bye: { kind: 'bye' },
  ready: { kind: 'ready', icount: 5, virtualNs: 6, registers: 'ab', devices: 'cd', tailNs: 7, digestNs: 8 },
  commit: { kind: 'commit', migrationId: 'id', epoch: 3 },
  live: { kind: 'live', virtualNs: 1, journalNs: 2, flipNs: 3, startNs: 4, totalNs: 5 },
  retired: { kind: 'retired', migrationId: 'id' },
  verify: { kind: 'verify', ram: '00ff', disks: 'd15c' },
  abort: { kind: 'abort', code: 'E_ABORTED', message: 'cancelled' },
  declined: { kind: 'declined', migrationId: 'id', reason: 'its QEMU died' },
  query: { kind: 'query', migrationId: 'id' },
  answer: { kind: 'answer', migrationId: 'id', holder: 'destination', epoch: 4 },
  shipped: { kind: 'shipped', migrationId: 'id', reason: 'given-up', segments: 77, endIcount: 2 ** 41 },
};

/** With what a frame need not say. */
const more: Frame[] = [
  { ...SAMPLES.hello, link: { id: '0123456789abcdef0123456789abcdef', reconnectMs: 30_000, received: null } },
  { ...SAMPLES.hello, link: { id: 'fedcba9876543210fedcba9876543210', reconnectMs: 30_000, received: 2 ** 33 } },
  { ...SAMPLES.welcome, received: 2 ** 34 },
  { ...SAMPLES.accept, stored: { segments: 76, digest: '1090' } },
  { ...SAMPLES.abort, migrationId: 'id', divergence: { icount: 2 ** 40, event: 'clock-host' } },
  { ...SAMPLES.shipped, digests: { registers: '4e6', devices: 'de', ram: '00ff' } },
];

export const allSamples = [...(Object.values(SAMPLES) as Frame[]), ...more];

/** A small seeded generator (mulberry32); numbers in [0, 1). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
