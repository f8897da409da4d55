// A segment as a record on disk: its header as the envelope's head, its payload, compressed by itself, as the body.
import { Builder } from 'flatbuffers';
import { recordHeadBytesMax, segmentPayloadBytesMax } from '../limits.js';
import { readTable, safeNumber } from '../schema/bounded.js';
import { Encoding, SegmentHead } from '../schema/recording.js';
import { TrmigError } from '../errors.js';
import { icount } from '../units.js';
import { decodeFromDisk, encodeForDisk, type EncodedHeader } from './codec.js';
import { columnarVersion, damaged, encodeRecord, type RecordPlace } from './envelope.js';
import type { Segment, SegmentEncoding } from './segment.js';

const encodingNumbers: Readonly<Record<SegmentEncoding, Encoding>> = {
  raw: Encoding.raw,
  zstd: Encoding.zstd,
  columnar: Encoding.columnar,
};

/** The whole record of a segment. */
export function encodeSegmentRecord(segment: Segment): Buffer {
  const { header, bytes } = encodeForDisk(segment);
  const builder = new Builder(256);
  SegmentHead.startSegmentHead(builder);
  SegmentHead.addSeq(builder, BigInt(header.seq));
  SegmentHead.addFrom(builder, BigInt(header.from));
  SegmentHead.addTo(builder, BigInt(header.to));
  SegmentHead.addEvents(builder, header.events);
  SegmentHead.addCanaryValid(builder, header.canary !== null);
  SegmentHead.addFinal(builder, header.final);
  SegmentHead.addCanary(builder, header.canary ?? 0n);
  SegmentHead.addVirtualNs(builder, BigInt(header.virtualNs));
  SegmentHead.addHostNs(builder, BigInt(header.hostNs));
  SegmentHead.addChecksum(builder, header.checksum);
  SegmentHead.addPayloadBytes(builder, header.payloadBytes);
  SegmentHead.addEncoding(builder, encodingNumbers[header.encoding]);
  builder.finish(SegmentHead.endSegmentHead(builder));
  return encodeRecord('segment', builder.asUint8Array(), bytes, header.encoding === 'columnar' ? columnarVersion : 1);
}

/**
 * Reads the head of a segment's record.
 * @throws TrmigError E_RECORDING_DAMAGED naming the place.
 */
export function readSegmentHead(head: Uint8Array, place: RecordPlace): EncodedHeader {
  return readTable(head, {
    root: (buffer) => SegmentHead.getRootAsSegmentHead(buffer),
    bytesMax: recordHeadBytesMax,
    fault: (why, cause) => damaged(place, `a segment's header: ${why}`, cause),
    read: (table) => ({
      seq: safeNumber(table.seq(), 'seq'),
      from: icount(safeNumber(table.from(), 'from')),
      to: icount(safeNumber(table.to(), 'to')),
      events: table.events(),
      canary: table.canaryValid() ? table.canary() : null,
      final: table.final(),
      virtualNs: safeNumber(table.virtualNs(), 'virtual_ns'),
      hostNs: safeNumber(table.hostNs(), 'host_ns'),
      checksum: table.checksum(),
      payloadBytes: boundedPayload(table.payloadBytes()),
      encoding: encodingName(table.encoding()),
    }),
  });
}

/**
 * Decodes the body of a segment's record and compares it with its header.
 * @throws TrmigError E_RECORDING_DAMAGED naming the place.
 */
export function readSegmentBody(header: EncodedHeader, body: Uint8Array, place: RecordPlace): Segment {
  try {
    return decodeFromDisk(header, body);
  } catch (error) {
    if (error instanceof TrmigError) throw damaged(place, error.message, error);
    throw error;
  }
}

function boundedPayload(bytes: number): number {
  if (bytes > segmentPayloadBytesMax) throw new RangeError(`payload_bytes is out of bounds: ${bytes}`);
  return bytes;
}

function encodingName(value: Encoding): SegmentEncoding {
  if (value === Encoding.raw) return 'raw';
  if (value === Encoding.zstd) return 'zstd';
  if (value === Encoding.columnar) return 'columnar';
  throw new RangeError(`the unknown encoding ${value}`);
}
