// A frame's body to FlatBuffers and back. The payload (pages, log bytes, device state) is not copied into the body.
// Invariant: what decodes has been checked against limits.ts and is a frame that the encoder could have made; everything
// else is one E_WIRE_GARBAGE. The layouts themselves are schema/wire.fbs.

import { Builder } from 'flatbuffers';
import * as limits from '../limits.js';
import { safeNumber } from '../schema/bounded.js';
import * as wire from '../schema/wire.js';
import { chunkOf, chunkTable } from './chunk-table.js';
import { bare, clipped, codec, hex, many, named, ns, ofNs, strings, text, u64, type Codec } from './field.js';
import type { Frame, FrameKind, RamBlock } from './frames.js';
import { LINK_CODECS } from './link-codecs.js';

const PHASES = ['preparing', 'restoring', 'replaying', 'ready', 'owner', 'live'] as const;

const migrationIdOnly = <Table extends { migrationId(): string | null }>(table: Table): { migrationId: string } => ({
  migrationId: text(table.migrationId(), 'migration id', limits.migrationIdCharsMax),
});

function blockOf(block: wire.Block | null): RamBlock {
  if (block === null) throw new RangeError('a block is missing');
  const pageBytes = block.pageBytes();
  const bytes = safeNumber(block.bytes(), 'bytes');
  if (pageBytes < 512 || (pageBytes & (pageBytes - 1)) !== 0) throw new RangeError(`${pageBytes} is no page size`);
  return { name: text(block.name(), 'block name'), bytes, pageBytes };
}

const CODECS: { readonly [K in FrameKind]: Codec<K> } = {
  ...LINK_CODECS,
  offer: codec('offer', {
    bodyBytesMax: limits.wireOfferBytesMax,
    encode: (b, f) => {
      const blocks = f.blocks.map((block) =>
        wire.Block.createBlock(b, b.createString(block.name), u64(block.bytes), block.pageBytes),
      );
      const blocksAt = wire.Offer.createBlocksVector(b, blocks);
      const [id, machine, spec] = [b.createString(f.migrationId), b.createString(f.machine), b.createString(f.spec)];
      const [qemu, target, host] = [b.createString(f.qemu), b.createString(f.target), b.createString(f.sourceHost)];
      const [mode, disks] = [wire.Mode[f.mode], f.disks === '' ? 0 : b.createString(f.disks)];
      const first = [id, machine, mode, f.verify, spec, qemu, target, blocksAt] as const;
      return wire.Offer.createOffer(b, ...first, host, f.sourcePort, disks, f.epoch ?? 0);
    },
    root: (buffer) => wire.Offer.getRootAsOffer(buffer),
    read: (t) => ({
      migrationId: text(t.migrationId(), 'migration id', limits.migrationIdCharsMax),
      machine: text(t.machine(), 'machine'),
      mode: named(wire.Mode, t.mode(), ['migrate', 'ship'] as const),
      verify: t.verify(),
      spec: text(t.spec(), 'spec', limits.wireOfferBytesMax),
      qemu: text(t.qemu(), 'qemu'),
      target: text(t.target(), 'target'),
      blocks: many(t.blocksLength(), limits.wireBlocksMax, 'blocks', (index) => blockOf(t.blocks(index))),
      sourceHost: text(t.sourceHost(), 'source host'),
      sourcePort: t.sourcePort(),
      disks: text(t.disks() ?? '', 'disks', limits.wireOfferBytesMax),
      ...(t.epoch() > 0 && { epoch: t.epoch() }),
    }),
  }),
  accept: codec('accept', {
    encode: (b, f) => {
      const have = f.have.length === 0 ? 0 : wire.Accept.createHaveVector(b, strings(b, f.have));
      const [id, log] = [b.createString(f.migrationId), f.stored === undefined ? 0 : b.createString(f.stored.digest)];
      return wire.Accept.createAccept(b, id, have, u64(f.stored?.segments ?? 0), log);
    },
    root: (buffer) => wire.Accept.getRootAsAccept(buffer),
    read: (t) => ({
      ...migrationIdOnly(t),
      have: many(t.haveLength(), limits.wireLayersMax, 'layers', (index) => text(t.have(index), 'layer')),
      ...(t.log() !== null && {
        stored: { segments: safeNumber(t.segments(), 'segments'), digest: hex(t.log(), 'digest of the log') },
      }),
    }),
  }),
  checkpoint: codec('checkpoint', {
    encode: (b, f) => wire.Checkpoint.createCheckpoint(b, f.shift, ns(f.virtualNs), ns(f.hostNs)),
    root: (buffer) => wire.Checkpoint.getRootAsCheckpoint(buffer),
    payload: (f) => f.deviceState,
    read: (t, deviceState) => ({
      shift: t.shift(),
      virtualNs: ofNs(t.virtualNs()),
      hostNs: ofNs(t.hostNs()),
      deviceState,
    }),
  }),
  imageChunk: codec('imageChunk', {
    encode: (b, f) => chunkTable(b, f.block, f),
    root: (buffer) => wire.ImageChunk.getRootAsImageChunk(buffer),
    payload: (f) => f.compressed,
    read: (t, compressed) => ({ block: t.block(), ...chunkOf(t), compressed }),
  }),
  imageEnd: codec('imageEnd', {
    encode: (b, f) => wire.ImageEnd.createImageEnd(b, u64(f.pages), u64(f.chunks), b.createString(f.digest)),
    root: (buffer) => wire.ImageEnd.getRootAsImageEnd(buffer),
    read: (t) => ({
      pages: safeNumber(t.pages(), 'pages'),
      chunks: safeNumber(t.chunks(), 'chunks'),
      digest: hex(t.digest(), 'digest'),
    }),
  }),
  layerBegin: codec('layerBegin', {
    encode: (b, f) => wire.LayerBegin.createLayerBegin(b, b.createString(f.layer), u64(f.bytes), f.number),
    root: (buffer) => wire.LayerBegin.getRootAsLayerBegin(buffer),
    read: (t) => ({ layer: text(t.layer(), 'layer'), bytes: safeNumber(t.bytes(), 'bytes'), number: t.number() }),
  }),
  layerChunk: codec('layerChunk', {
    encode: (b, f) => chunkTable(b, f.layer, f),
    root: (buffer) => wire.ImageChunk.getRootAsImageChunk(buffer),
    payload: (f) => f.compressed,
    read: (t, compressed) => ({ layer: t.block(), ...chunkOf(t), compressed }),
  }),
  layerEnd: codec('layerEnd', {
    encode: (b, f) => wire.LayerEnd.createLayerEnd(b, b.createString(f.layer), u64(f.chunks), b.createString(f.digest)),
    root: (buffer) => wire.LayerEnd.getRootAsLayerEnd(buffer),
    read: (t) => ({
      layer: text(t.layer(), 'layer'),
      chunks: safeNumber(t.chunks(), 'chunks'),
      digest: hex(t.digest(), 'digest'),
    }),
  }),
  segment: codec('segment', {
    encode: (b, f) =>
      wire.Segment.createSegment(
        b,
        u64(f.seq),
        u64(f.from),
        u64(f.to),
        f.events,
        f.canary ?? 0n,
        f.canary !== null,
        f.final,
        ns(f.virtualNs),
        ns(f.hostNs),
        f.checksum,
        wire.Encoding[f.encoding],
        f.rawBytes,
      ),
    root: (buffer) => wire.Segment.getRootAsSegment(buffer),
    payload: (f) => f.bytes,
    read: (t, bytes) => {
      const [from, to] = [safeNumber(t.from(), 'from'), safeNumber(t.to(), 'to')];
      if (to < from) throw new RangeError(`a segment ends at ${to}, before its start at ${from}`);
      if (t.rawBytes() > limits.segmentPayloadBytesMax) throw new RangeError(`${t.rawBytes()} raw bytes are too many`);
      return {
        seq: safeNumber(t.seq(), 'seq'),
        from,
        to,
        events: t.events(),
        canary: t.hasCanary() ? t.canary() : null,
        final: t.final(),
        virtualNs: ofNs(t.virtualNs()),
        hostNs: ofNs(t.hostNs()),
        checksum: t.checksum(),
        encoding: named(wire.Encoding, t.encoding(), ['raw', 'zstd', 'columnar'] as const),
        rawBytes: t.rawBytes(),
        bytes,
      };
    },
  }),
  log: bare('log', { payload: (f) => f.bytes, read: (bytes) => ({ bytes }) }),
  progress: codec('progress', {
    encode: (b, f) =>
      wire.Progress.createProgress(
        b,
        wire.Phase[f.phase],
        u64(f.seq),
        u64(f.icount),
        ns(f.virtualNs),
        ns(f.hostNs),
        u64(f.receivedBytes),
        u64(f.restoredBytes),
        f.replaySpeed,
      ),
    root: (buffer) => wire.Progress.getRootAsProgress(buffer),
    read: (t) => {
      const replaySpeed = t.replaySpeed();
      if (!Number.isFinite(replaySpeed) || replaySpeed < 0) throw new RangeError('the replay speed is no speed');
      return {
        phase: named(wire.Phase, t.phase(), PHASES),
        seq: safeNumber(t.seq(), 'seq'),
        icount: safeNumber(t.icount(), 'icount'),
        virtualNs: ofNs(t.virtualNs()),
        hostNs: ofNs(t.hostNs()),
        receivedBytes: safeNumber(t.receivedBytes(), 'received bytes'),
        restoredBytes: safeNumber(t.restoredBytes(), 'restored bytes'),
        replaySpeed,
      };
    },
  }),
  ready: codec('ready', {
    encode: (b, f) => {
      const [registers, devices] = [b.createString(f.registers), b.createString(f.devices)];
      const times = [ns(f.tailNs), ns(f.digestNs)] as const;
      return wire.Ready.createReady(b, u64(f.icount), ns(f.virtualNs), registers, devices, ...times);
    },
    root: (buffer) => wire.Ready.getRootAsReady(buffer),
    read: (t) => ({
      icount: safeNumber(t.icount(), 'icount'),
      virtualNs: ofNs(t.virtualNs()),
      registers: hex(t.registers(), 'registers'),
      devices: hex(t.devices(), 'devices'),
      tailNs: ofNs(t.tailNs()),
      digestNs: ofNs(t.digestNs()),
    }),
  }),
  commit: codec('commit', {
    encode: (b, f) => wire.Commit.createCommit(b, b.createString(f.migrationId), f.epoch),
    root: (buffer) => wire.Commit.getRootAsCommit(buffer),
    read: (t) => ({ migrationId: text(t.migrationId(), 'migration id', limits.migrationIdCharsMax), epoch: t.epoch() }),
  }),
  live: codec('live', {
    encode: (b, f) =>
      wire.Live.createLive(b, ns(f.virtualNs), ns(f.journalNs), ns(f.flipNs), ns(f.startNs), ns(f.totalNs)),
    root: (buffer) => wire.Live.getRootAsLive(buffer),
    read: (t) => ({
      virtualNs: ofNs(t.virtualNs()),
      journalNs: ofNs(t.journalNs()),
      flipNs: ofNs(t.flipNs()),
      startNs: ofNs(t.startNs()),
      totalNs: ofNs(t.totalNs()),
    }),
  }),
  retired: codec('retired', {
    encode: (b, f) => wire.Retired.createRetired(b, b.createString(f.migrationId)),
    root: (buffer) => wire.Retired.getRootAsRetired(buffer),
    read: migrationIdOnly,
  }),
  verify: codec('verify', {
    encode: (b, f) => wire.Verify.createVerify(b, b.createString(f.ram), f.disks === '' ? 0 : b.createString(f.disks)),
    root: (buffer) => wire.Verify.getRootAsVerify(buffer),
    read: (t) => ({ ram: hex(t.ram(), 'ram'), disks: hex(t.disks() ?? '', 'disks') }),
  }),
  abort: codec('abort', {
    encode: (b, f) => {
      const [code, message] = [b.createString(f.code), b.createString(clipped(f.message))];
      const id = f.migrationId === undefined ? 0 : b.createString(f.migrationId);
      const event = f.divergence === undefined ? 0 : b.createString(f.divergence.event);
      return wire.Abort.createAbort(b, code, message, id, u64(f.divergence?.icount ?? 0), event);
    },
    root: (buffer) => wire.Abort.getRootAsAbort(buffer),
    read: (t) => ({
      code: text(t.code(), 'code'),
      message: text(t.message(), 'message'),
      ...(t.migrationId() !== null && migrationIdOnly(t)),
      ...(t.event() !== null && {
        divergence: { icount: safeNumber(t.icount(), 'icount'), event: text(t.event(), 'event') },
      }),
    }),
  }),
  declined: codec('declined', {
    encode: (b, f) => wire.Declined.createDeclined(b, b.createString(f.migrationId), b.createString(clipped(f.reason))),
    root: (buffer) => wire.Declined.getRootAsDeclined(buffer),
    read: (t) => ({ ...migrationIdOnly(t), reason: text(t.reason(), 'reason') }),
  }),
  query: codec('query', {
    encode: (b, f) => wire.Query.createQuery(b, b.createString(f.migrationId)),
    root: (buffer) => wire.Query.getRootAsQuery(buffer),
    read: migrationIdOnly,
  }),
  answer: codec('answer', {
    encode: (b, f) => wire.Answer.createAnswer(b, b.createString(f.migrationId), wire.Holder[f.holder], f.epoch),
    root: (buffer) => wire.Answer.getRootAsAnswer(buffer),
    read: (t) => ({
      ...migrationIdOnly(t),
      holder: named(wire.Holder, t.holder(), ['source', 'destination', 'unknown'] as const),
      epoch: t.epoch(),
    }),
  }),
  shipped: codec('shipped', {
    encode: (b, f) => {
      const [id, reason] = [b.createString(f.migrationId), b.createString(clipped(f.reason))];
      const { registers = null, devices = null, ram = null } = f.digests ?? {};
      const [r, d, m] = [registers, devices, ram].map((digest) => (digest === null ? 0 : b.createString(digest)));
      return wire.Shipped.createShipped(b, id, reason, u64(f.segments), u64(f.endIcount), r!, d!, m!);
    },
    root: (buffer) => wire.Shipped.getRootAsShipped(buffer),
    read: (t) => ({
      ...migrationIdOnly(t),
      reason: text(t.reason(), 'reason'),
      segments: safeNumber(t.segments(), 'segments'),
      endIcount: safeNumber(t.endIcount(), 'end'),
      ...((t.registers() ?? t.devices() ?? t.ram()) !== null && {
        digests: {
          registers: hex(t.registers(), 'registers'),
          devices: hex(t.devices(), 'devices'),
          ram: hex(t.ram(), 'ram'),
        },
      }),
    }),
  }),
};

/** The bounds of a kind's body and payload, in bytes. */
export function frameBounds(kind: FrameKind): { bodyBytesMax: number; payloadBytesMax: number } {
  return CODECS[kind];
}

const noBody = new Uint8Array(0);

/** A frame's control body (in memory of its own) and its raw payload, which is not copied. */
export function encodeBody(frame: Frame): { body: Uint8Array; payload: Buffer | null } {
  // The table is indexed by the frame's own kind, which the compiler cannot follow through a union.
  const chosen = CODECS[frame.kind] as Codec<FrameKind>;
  if (chosen.encode === null) return { body: noBody, payload: chosen.payload(frame) };
  const builder = new Builder(256);
  builder.finish(chosen.encode(builder, frame));
  return { body: builder.asUint8Array(), payload: chosen.payload(frame) };
}

/**
 * Reads a body and its payload.
 * @throws TrmigError E_WIRE_GARBAGE when they are not a well-formed frame of this kind.
 */
export function decodeBody(kind: FrameKind, body: Buffer, payload: Buffer): Frame {
  return CODECS[kind].decode(body, payload);
}
