// A recording's manifest: what the recording is of, which files belong to it, and how far it has come. It is all that is
// needed to replay where no catalog knows the recording. Foreign until read: a name out of it never leads out of the
// directory, counts are bounded, enums are known values.
import { Builder, type Offset } from 'flatbuffers';
import { manifestEntriesMax, migrationIdCharsMax, recordHeadBytesMax } from '../limits.js';
import { readTable, required, safeNumber } from '../schema/bounded.js';
import {
  Manifest as ManifestTable,
  Part as PartTable,
  RamBlock as BlockTable,
  Role,
  Status,
} from '../schema/recording.js';
import { icount, type Icount } from '../units.js';
import { bodyOffset, damaged, encodeRecord, readHead, readPrefix } from './envelope.js';
import { isPartName } from './recording-layout.js';

export type PartRole = 'ram-image' | 'device-state' | 'disk-layer' | 'checkpoint';

/** A file beside the log, complete and never changed again. */
export interface RecordingPart {
  /** Path relative to the recording. */
  readonly name: string;
  /** null: of a kind that this trmig does not know. */
  readonly role: PartRole | null;
  readonly bytes: number;
  /** As `digestFile` makes it. */
  readonly digest: string;
}

export interface RecordedBlock {
  readonly name: string;
  readonly bytes: number;
  readonly pageBytes: number;
}

/** What is known when a recording begins. */
export interface RecordingFacts {
  readonly uuid: string;
  readonly machine: string;
  /** The machine's spec, as JSON. */
  readonly spec: string;
  /** QEMU's version, "10.0.2". */
  readonly qemu: string;
  /** "x86_64", "aarch64". */
  readonly target: string;
  /** The icount shift of the whole log. */
  readonly shift: number;
  /** Unix time. */
  readonly createdMs: number;
  /** The guest's virtual clock at the checkpoint. */
  readonly virtualNs: number;
  /** Digests at the checkpoint, when they were taken. */
  readonly registers: string | null;
  readonly devices: string | null;
  readonly blocks: readonly RecordedBlock[];
}

/** Digests of the machine at the log's last instruction, as a tracer's `digest` gives them. */
export interface EndDigests {
  readonly registers: string;
  readonly devices: string;
  readonly ram: string;
}

export type RecordingStatus =
  | { readonly status: 'recording' }
  | {
      readonly status: 'complete';
      /** Why it ended. */
      readonly reason: string;
      readonly segments: number;
      readonly endIcount: Icount;
      /** null when they were not taken. */
      readonly digests: EndDigests | null;
    };

export type RecordingManifest = RecordingFacts &
  RecordingStatus & {
    readonly parts: readonly RecordingPart[];
    /** Bits of how the recording trmig behaved; 0 is how version 1 does. */
    readonly quirks: bigint;
  };

const roleNumbers: Readonly<Record<PartRole, Role>> = {
  'ram-image': Role.ram_image,
  'device-state': Role.device_state,
  'disk-layer': Role.disk_layer,
  checkpoint: Role.checkpoint,
};

const digestPattern = /^[0-9a-f]{1,64}$/;

/** The bytes of manifest.trm. */
export function encodeManifest(manifest: RecordingManifest): Buffer {
  const builder = new Builder(4096);
  const text = (value: string | null): Offset => (value === null ? 0 : builder.createString(value));
  const blocks = manifest.blocks.map((block) =>
    BlockTable.createRamBlock(builder, builder.createString(block.name), BigInt(block.bytes), block.pageBytes),
  );
  const parts = manifest.parts.map((part) => {
    const name = builder.createString(part.name);
    const digest = builder.createString(part.digest);
    const role = part.role === null ? Role.invalid : roleNumbers[part.role];
    return PartTable.createPart(builder, name, role, BigInt(part.bytes), digest);
  });
  const complete = manifest.status === 'complete' ? manifest : null;
  builder.finish(
    ManifestTable.createManifest(
      builder,
      text(manifest.uuid),
      text(manifest.machine),
      text(manifest.spec),
      text(manifest.qemu),
      text(manifest.target),
      manifest.shift,
      BigInt(manifest.createdMs),
      BigInt(manifest.virtualNs),
      text(manifest.registers),
      text(manifest.devices),
      ManifestTable.createBlocksVector(builder, blocks),
      ManifestTable.createPartsVector(builder, parts),
      complete === null ? Status.recording : Status.complete,
      text(complete?.reason ?? null),
      BigInt(complete?.segments ?? 0),
      BigInt(complete?.endIcount ?? 0),
      manifest.quirks,
      text(complete?.digests?.registers ?? null),
      text(complete?.digests?.devices ?? null),
      text(complete?.digests?.ram ?? null),
    ),
  );
  return encodeRecord('manifest', builder.asUint8Array(), Buffer.alloc(0));
}

/**
 * Reads the bytes of manifest.trm; `file` names it in errors.
 * @throws TrmigError E_RECORDING_DAMAGED, E_RECORDING_FORMAT (facts: file, offset).
 */
export function decodeManifest(bytes: Buffer, file: string): RecordingManifest {
  const place = { file, offset: 0 };
  const prefix = readPrefix(bytes, 'manifest', place);
  const head = readHead(bytes, prefix, 'manifest', place);
  const end = bodyOffset(prefix);
  if (bytes.length !== end) throw damaged({ file, offset: end }, `${bytes.length - end} bytes follow the manifest`);
  return readTable(head, {
    root: (buffer) => ManifestTable.getRootAsManifest(buffer),
    bytesMax: recordHeadBytesMax,
    fault: (why, cause) => damaged(place, why, cause),
    read: readManifest,
  });
}

function readManifest(table: ManifestTable): RecordingManifest {
  return {
    uuid: uuid(required(table.uuid(), 'uuid')),
    machine: required(table.machine(), 'machine'),
    spec: required(table.spec(), 'spec'),
    qemu: required(table.qemu(), 'qemu'),
    target: required(table.target(), 'target'),
    shift: bounded(table.shift(), 'shift', 10), // QEMU's own bound
    createdMs: safeNumber(table.createdMs(), 'created_ms'),
    virtualNs: safeNumber(table.virtualNs(), 'virtual_ns'),
    registers: table.registers(),
    devices: table.devices(),
    blocks: list(table.blocksLength(), 'blocks', (index) => readBlock(table.blocks(index)!)),
    parts: list(table.partsLength(), 'parts', (index) => readPart(table.parts(index)!)),
    quirks: table.quirks(),
    ...readStatus(table),
  };
}

/** It goes into the ownership journal of whoever takes the machine over. */
function uuid(value: string): string {
  if (value.length > 0 && value.length <= migrationIdCharsMax) return value;
  throw new RangeError(`a uuid of ${value.length} characters`);
}

function readBlock(block: BlockTable): RecordedBlock {
  return {
    name: required(block.name(), "a block's name"),
    bytes: safeNumber(block.bytes(), "a block's bytes"),
    pageBytes: block.pageBytes(),
  };
}

function readPart(part: PartTable): RecordingPart {
  const name = required(part.name(), "a part's name");
  if (!isPartName(name)) throw new RangeError(`"${name}" cannot name a part`);
  const role = part.role();
  if (role === Role.invalid) throw new RangeError(`the part "${name}" has no role`);
  return {
    name,
    role: (Object.keys(roleNumbers) as PartRole[]).find((key) => roleNumbers[key] === role) ?? null,
    bytes: safeNumber(part.bytes(), "a part's bytes"),
    digest: required(part.digest(), "a part's digest"),
  };
}

function readStatus(table: ManifestTable): RecordingStatus {
  const status = table.status();
  if (status === Status.recording) return { status: 'recording' };
  if (status !== Status.complete) throw new RangeError(`the unknown status ${status}`);
  return {
    status: 'complete',
    reason: required(table.reason(), 'reason'),
    segments: safeNumber(table.segments(), 'segments'),
    endIcount: icount(safeNumber(table.endIcount(), 'end_icount')),
    digests: readDigests(table),
  };
}

function readDigests(table: ManifestTable): EndDigests | null {
  const digests = [table.endRegisters(), table.endDevices(), table.endRam()];
  if (digests.every((digest) => digest === null)) return null;
  const [registers, devices, ram] = digests.map((digest) => {
    if (digest === null || !digestPattern.test(digest)) throw new RangeError('a digest of its end is none');
    return digest;
  });
  return { registers: registers!, devices: devices!, ram: ram! };
}

function list<Item>(length: number, name: string, read: (index: number) => Item): Item[] {
  return Array.from({ length: bounded(length, `the number of ${name}`, manifestEntriesMax) }, (_, index) =>
    read(index),
  );
}

function bounded(value: number, name: string, max: number): number {
  if (value > max) throw new RangeError(`${name} is out of bounds: ${value}`);
  return value;
}
