// What two trmigs say to each other. A frame is one closed union, so that a reader must say what it does with every kind.
// Invariants: a kind's number is never reused, 0 is no kind; numbers below 2^53 travel as u64 and are `number` here,
// digests and checksums are `bigint` or hex strings; every string, list and payload is bounded (limits.ts).

/** What a frame's bytes are counted as. Whole frames are counted, header and body too: that is what they cost the link. */
export type BytesKind = 'base' | 'log' | 'deviceState' | 'disk' | 'overhead';

export type MigrationMode = 'migrate' | 'ship';
export type SegmentEncoding = 'raw' | 'zstd' | 'columnar';
export type DestinationPhase = 'preparing' | 'restoring' | 'replaying' | 'ready' | 'owner' | 'live';

/** By what a link goes on over another connection (`resume-link`). */
export interface LinkClaim {
  /** 128 random bits in hex, which name the link: nobody else can go on with it. */
  readonly id: string;
  /** How long the caller will try to connect again, ms. */
  readonly reconnectMs: number;
  /** Of a link that goes on: how many of the session's frames have come to the caller. null: the link is new. */
  readonly received: number | null;
}

/** Opens a connection: what the caller speaks and is. Handshake frames are readable by every version. */
export interface HelloFrame {
  readonly kind: 'hello';
  readonly versionMin: number;
  readonly versionMax: number;
  readonly trmig: string;
  readonly host: string;
  readonly capabilities: readonly string[];
  readonly link?: LinkClaim;
}

/** Answers `hello` with the version both will speak. */
export interface WelcomeFrame {
  readonly kind: 'welcome';
  readonly version: number;
  readonly trmig: string;
  readonly host: string;
  readonly capabilities: readonly string[];
  /** Of a link that goes on: how many of the session's frames have come here; none when left out. */
  readonly received?: number;
}

/** Answers `hello` or `offer` with no. `code` is one of errors.ts if the other side knows it. */
export interface RefuseFrame {
  readonly kind: 'refuse';
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}

export interface RamBlock {
  readonly name: string;
  readonly bytes: number;
  readonly pageBytes: number;
}

/** What the source wants to move. `sourceHost`/`sourcePort`: where the destination can ask for the source's journal. */
export interface OfferFrame {
  readonly kind: 'offer';
  readonly migrationId: string;
  readonly machine: string;
  readonly mode: MigrationMode;
  readonly verify: boolean;
  /** The machine's spec as JSON. */
  readonly spec: string;
  readonly qemu: string;
  readonly target: string;
  readonly blocks: readonly RamBlock[];
  readonly sourceHost: string;
  /** 0: the source does not listen. */
  readonly sourcePort: number;
  /** The machine's disks as JSON (src/migrate/disk-offer.ts); '' for none. */
  readonly disks: string;
  /** Of this migration: greater than all before it that moved the machine. Not of a recording, nor from older peers. */
  readonly epoch?: number;
}

export interface AcceptFrame {
  readonly kind: 'accept';
  readonly migrationId: string;
  /** Layers of the offer's disks that need not be sent, by id. */
  readonly have: readonly string[];
  /** How much of a recording that is shipped the destination holds: its checkpoint, and so much of its log. */
  readonly stored?: { readonly segments: number; readonly digest: string };
}

/** Device state and clocks at instruction 0 of the log. */
export interface CheckpointFrame {
  readonly kind: 'checkpoint';
  readonly shift: number;
  readonly virtualNs: number;
  readonly hostNs: number;
  readonly deviceState: Buffer;
}

/** A run of guest pages; those not named in `pages` (relative to `firstPage`) are zero. */
export interface ImageChunkFrame {
  readonly kind: 'imageChunk';
  readonly block: number;
  readonly firstPage: number;
  readonly pageCount: number;
  readonly pages: Uint32Array;
  readonly rawBytes: number;
  readonly checksum: bigint;
  readonly compressed: Buffer;
}

export interface ImageEndFrame {
  readonly kind: 'imageEnd';
  readonly pages: number;
  readonly chunks: number;
  /** Hex; empty when none was made. */
  readonly digest: string;
}

/** A frozen layer of a disk follows, chunk by chunk; one at a time. `bytes`: how long its file is. */
export interface LayerBeginFrame {
  readonly kind: 'layerBegin';
  readonly layer: string;
  readonly bytes: number;
  /** Which of this session's layers it is; its chunks carry it. */
  readonly number: number;
}

/** A run of pages of the layer's file, like an image's chunk; what no chunk holds is zero. */
export interface LayerChunkFrame {
  readonly kind: 'layerChunk';
  readonly layer: number;
  readonly firstPage: number;
  readonly pageCount: number;
  readonly pages: Uint32Array;
  readonly rawBytes: number;
  readonly checksum: bigint;
  readonly compressed: Buffer;
}

export interface LayerEndFrame {
  readonly kind: 'layerEnd';
  readonly layer: string;
  readonly chunks: number;
  /** Hex, of the whole file. */
  readonly digest: string;
}

/** A segment of the log; `bytes` is its payload in `encoding`, `rawBytes` long when decoded. */
export interface SegmentFrame {
  readonly kind: 'segment';
  readonly seq: number;
  readonly from: number;
  readonly to: number;
  readonly events: number;
  readonly canary: bigint | null;
  readonly final: boolean;
  readonly virtualNs: number;
  readonly hostNs: number;
  readonly checksum: bigint;
  readonly encoding: SegmentEncoding;
  readonly rawBytes: number;
  readonly bytes: Buffer;
}

/**
 * The next segment of the log, told by its own bytes: what they leave out follows from the segment before. Only to a peer
 * that has said `columnar-log`, and never the final segment.
 */
export interface LogFrame {
  readonly kind: 'log';
  readonly bytes: Buffer;
}

/** How far the destination is. `hostNs` is the source's clock of the last segment that was replayed to its end. */
export interface ProgressFrame {
  readonly kind: 'progress';
  readonly phase: DestinationPhase;
  readonly seq: number;
  readonly icount: number;
  readonly virtualNs: number;
  readonly hostNs: number;
  readonly receivedBytes: number;
  readonly restoredBytes: number;
  /** Instructions replayed per second of host time; 0 when unknown. */
  readonly replaySpeed: number;
}

export interface PingFrame {
  readonly kind: 'ping';
  readonly token: number;
}

export interface PongFrame {
  readonly kind: 'pong';
  readonly token: number;
  /** Bytes that the sender of this pong has received on this connection: the asker's measure of what the link delivers. */
  readonly receivedBytes: number;
}

/** Frames of the session that have come to the sender of this, since the link's beginning. Only to a peer with `resume-link`. */
export interface AckFrame {
  readonly kind: 'ack';
  readonly received: number;
}

/** The link ends here and is not waited for: what comes without it is an accident. Only to a peer with `resume-link`. */
export interface ByeFrame {
  readonly kind: 'bye';
}

/** The destination stands at the log's last instruction; the source compares the digests with its own. */
export interface ReadyFrame {
  readonly kind: 'ready';
  readonly icount: number;
  readonly virtualNs: number;
  readonly registers: string;
  readonly devices: string;
  /** From the final segment's arrival to its last instruction. */
  readonly tailNs: number;
  readonly digestNs: number;
}

/** Ownership has moved: sent only after the source's journal says so. */
export interface CommitFrame {
  readonly kind: 'commit';
  readonly migrationId: string;
  readonly epoch: number;
}

/** The destination runs the guest. Times are the destination's, from the commit's arrival to the guest's running. */
export interface LiveFrame {
  readonly kind: 'live';
  readonly virtualNs: number;
  readonly journalNs: number;
  readonly flipNs: number;
  readonly startNs: number;
  readonly totalNs: number;
}

export interface RetiredFrame {
  readonly kind: 'retired';
  readonly migrationId: string;
}

/** The sender's XXH3-128 over all RAM blocks at the log's last instruction, and over what its guest then saw on its disks. */
export interface VerifyFrame {
  readonly kind: 'verify';
  readonly ram: string;
  /** '' without disks. */
  readonly disks: string;
}

/** The sender gives up this migration. Never sent by a source that has relinquished. */
export interface AbortFrame {
  readonly kind: 'abort';
  readonly code: string;
  readonly message: string;
  /** Which one; an older peer does not say, and has one migration on a connection. */
  readonly migrationId?: string;
  /** Where the replay differs from its log, in instructions since the checkpoint; `event` is '' when it is not known. */
  readonly divergence?: { readonly icount: number; readonly event: string };
}

/** The destination has journaled that it will never run this guest: the source may take it back, even if relinquished. */
export interface DeclinedFrame {
  readonly kind: 'declined';
  readonly migrationId: string;
  readonly reason: string;
}

/** Asks what the other side's journal says about a migration. */
export interface QueryFrame {
  readonly kind: 'query';
  readonly migrationId: string;
}

export interface AnswerFrame {
  readonly kind: 'answer';
  readonly migrationId: string;
  /** Who has the guest for good, by the journal of the side that was asked; `unknown`: that cannot tell. */
  readonly holder: 'source' | 'destination' | 'unknown';
  readonly epoch: number;
}

/**
 * A shipped recording's end. From the sender: that was all of it, and why the recording ended. From the receiver, with the
 * same values: all of it is on disk.
 */
export interface ShippedFrame {
  readonly kind: 'shipped';
  /** The recording's uuid. */
  readonly migrationId: string;
  readonly reason: string;
  readonly segments: number;
  readonly endIcount: number;
  /** Of the machine at the last instruction, when it was given up there. */
  readonly digests?: { readonly registers: string; readonly devices: string; readonly ram: string };
}

export type Frame =
  | HelloFrame
  | WelcomeFrame
  | RefuseFrame
  | OfferFrame
  | AcceptFrame
  | CheckpointFrame
  | ImageChunkFrame
  | ImageEndFrame
  | LayerBeginFrame
  | LayerChunkFrame
  | LayerEndFrame
  | SegmentFrame
  | LogFrame
  | ProgressFrame
  | PingFrame
  | PongFrame
  | AckFrame
  | ByeFrame
  | ReadyFrame
  | CommitFrame
  | LiveFrame
  | RetiredFrame
  | VerifyFrame
  | AbortFrame
  | DeclinedFrame
  | QueryFrame
  | AnswerFrame
  | ShippedFrame;

export type FrameKind = Frame['kind'];
export type FrameOf<K extends FrameKind> = Extract<Frame, { readonly kind: K }>;

const ownKinds = ['hello', 'welcome', 'ping', 'pong', 'ack', 'bye'] as const satisfies FrameKind[];
type OwnKind = (typeof ownKinds)[number];

/** The frames a session sees: what opens, keeps and ends a link is the link's own. */
export type SessionFrame = Exclude<Frame, { readonly kind: OwnKind }>;

export function isSessionFrame(frame: Frame): frame is SessionFrame {
  return !(ownKinds as readonly FrameKind[]).includes(frame.kind);
}

interface KindInfo {
  readonly number: number;
  readonly bytes: BytesKind;
  /** Bulk frames queue behind everything else, in their own order. */
  readonly bulk: boolean;
}

const kind = (number: number, bytes: BytesKind = 'overhead', bulk = false): KindInfo => ({ number, bytes, bulk });

export const FRAME_KINDS: { readonly [K in FrameKind]: KindInfo } = {
  hello: kind(1),
  welcome: kind(2),
  refuse: kind(3),
  offer: kind(4),
  accept: kind(5),
  checkpoint: kind(6, 'deviceState'),
  imageChunk: kind(7, 'base', true),
  imageEnd: kind(8, 'base', true),
  segment: kind(9, 'log'),
  progress: kind(10),
  ping: kind(11),
  pong: kind(12),
  ready: kind(13),
  commit: kind(14),
  live: kind(15),
  retired: kind(16),
  verify: kind(17),
  abort: kind(18),
  declined: kind(19),
  query: kind(20),
  answer: kind(21),
  shipped: kind(22),
  log: kind(23, 'log'),
  layerBegin: kind(24, 'disk', true),
  layerChunk: kind(25, 'disk', true),
  layerEnd: kind(26, 'disk', true),
  ack: kind(27),
  bye: kind(28),
};

const BY_NUMBER = new Map<number, FrameKind>(
  (Object.keys(FRAME_KINDS) as FrameKind[]).map((name) => [FRAME_KINDS[name].number, name]),
);

/** The kind of a header's number, or undefined when no such kind is known. */
export function frameKindOf(number: number): FrameKind | undefined {
  return BY_NUMBER.get(number);
}
