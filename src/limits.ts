// Every bound in one place, each with its reason. Foreign bytes are refused at these, never "handled somehow".

export const KIB = 1024;
export const MIB = 1024 * KIB;
export const GIB = 1024 * MIB;

// --- tracer ---
/** A line on the tracer's or QMP's socket. The largest is `arm`'s reply with the base64 of a device state. */
export const controlLineBytesMax = 16 * MIB;
/** One segment's raw payload. A full ring (64 MiB) drains as several segments, so a segment need not hold one. */
export const segmentPayloadBytesMax = 16 * MIB;

// --- wire ---
/** A control frame's body: a few strings and numbers. */
export const wireBodyBytesMax = 64 * KIB;
/** An offer carries the machine's spec as JSON and the list of RAM blocks. */
export const wireOfferBytesMax = 2 * MIB;
/** A migration's or a recording's id: a UUID. The ownership journal keeps it. */
export const migrationIdCharsMax = 64;
/** Any one string in a frame other than an offer's spec. */
export const wireStringBytesMax = 4 * KIB;
/** A board has a handful of RAM blocks; a device with memory of its own adds one. */
export const wireBlocksMax = 256;
export const wireCapabilitiesMax = 64;
/** Layers of all disks of a machine: 16 disks of a few dozen layers. */
export const wireLayersMax = 2048;
/** Pages in one chunk of the image (1 MiB in 4 KiB pages is 256; 16 MiB is the largest chunk foreseen). */
export const wireChunkPagesMax = 4096;
/** zstd may make incompressible bytes a little longer. */
export const wirePayloadBytesMax = 16 * MIB + 256 * KIB;
/** Frames read from the socket but not yet taken by the session; beyond this the socket is not read. One frame may exceed it. */
export const wireInboxBytesMax = 8 * MIB;
/** Connections that have not yet said hello: strangers must not exhaust the host's descriptors. */
export const wireHandshakesMax = 32;
export const wireHandshakeMs = 5_000;
/** A heartbeat is a measurement too (round trip, delivered bytes), hence not rarer. */
export const wireHeartbeatMs = 250;
/** Nothing heard for so long: the peer is gone. Longer than a stop of the whole host for a fork or a sync. */
export const wireIdleMs = 10_000;
/** What a peer that does not read is waited for with the last word. */
export const wireFarewellMs = 1_000;
/**
 * Frames that are kept until the peer has said that it has them, so that they can be sent again. Beyond this bulk waits, beyond twice
 * as much the log. More than what lies in both kernels' buffers and on a long way between; one frame may exceed it.
 */
export const wireRetainedBytesMax = 8 * MIB;
/** What has come is acknowledged after so many bytes, and with each heartbeat. */
export const wireAckBytes = 256 * KIB;
/** From one try to connect again to the next, at first and at most, and what one of them may take. */
export const redialMsMin = 100;
export const redialMsMax = 2_000;
export const redialAttemptMs = 3_000;
/** The longest that a caller may have a listener wait for it. */
export const reconnectMsMax = 10 * 60_000;
/** A lost connection is waited for so long while the guest stands still: one that is only cut comes back in less. */
export const handoverReconnectMs = 500;
/** A peer that was heard within so many ms is there; it has something to say with each heartbeat. */
export const wireHeardMs = 4 * wireHeartbeatMs;
/** What a link that is capped may send at once after a rest: a few timer ticks' worth, so that the rate is reached, no more. */
export const throttleBurstMs = 50;
/** The lowest cap: below it one chunk of the image holds the link for minutes. */
export const bandwidthBytesPerSecondMin = 8 * 1000;
if (wireIdleMs < 4 * wireHeartbeatMs) throw new Error('limits: a single lost heartbeat would end the connection');
if (wireRetainedBytesMax < 4 * wireAckBytes) throw new Error('limits: a link would wait for its acknowledgements');
if (wirePayloadBytesMax < segmentPayloadBytesMax) throw new Error('limits: a segment would not fit a frame');

// --- keys ---
/** How long a host's key is good for: long enough that nobody is surprised monthly, short enough that a lost one ends. */
export const keyDays = 730;
/** `trmig doctor` warns so long before. */
export const keyWarnDays = 30;
/** A certificate in PEM; real ones have less than 1 KiB, with RSA keys some 2 KiB. */
export const certificateBytesMax = 64 * KIB;
/** Hosts that one host trusts; all are looked at for each connection. */
export const trustedHostsMax = 1024;
/** openssl makes a key's certificate in milliseconds; a host without entropy may take longer. */
export const opensslMsMax = 30_000;

// --- log, recordings ---
/** zstd window of a link's log (1 MiB): several seconds of log to match against, and 1 MiB a decoder must hold. */
export const logWindowLog = 20;
/**
 * What a columnar payload may become, beside so many times its bytes. Real ones become 4 to 20 times as many; some fifty bytes
 * that said 16 MiB would hold up their reader for seconds.
 */
export const columnarPayloadBytesFree = 64 * KIB;
export const columnarGrowthMax = 256;
/** What a zstd frame from elsewhere may ask a decoder to hold (8 MiB): the default of zstd's own tools. */
export const zstdWindowLogMax = 23;
/** The head of a record in a recording. The largest is a manifest, with the machine's spec in it. */
export const recordHeadBytesMax = 1 * MIB;
/** The stored body of such a record: the largest payload plus what zstd may add to incompressible bytes. */
export const recordBodyBytesMax = segmentPayloadBytesMax + 128 * KIB;
/** A recording's log file is followed by the next once it is this long: small enough to copy, index and verify alone. */
export const logFileBytes = 4 * MIB;
/** Parts and RAM blocks that a manifest may name; real ones have tens. */
export const manifestEntriesMax = 4096;
/** A file's digest is over the digests of chunks of this size. Part of the format. */
export const digestChunkBytes = 1 * MIB;
/** How often a follower of a growing log looks for more: well below the smallest segment that one would follow live. */
export const followPollMs = 20;

// --- control connections (QMP and the tracer) ---
/** Requests waiting for a reply on one connection. Nobody pipelines more; a leak is found instead of growing. */
export const controlPendingMax = 256;
/** Events waiting for a consumer that is slow. `played` events are merged, so only rare events can pile up. */
export const controlEventsMax = 1024;
/** How long a socket may take to accept and greet: QMP serves one client at a time, the others queue unseen. */
export const controlConnectMsMax = 5_000;
/** A control command's default patience; the longest that is legitimate is a digest over all of a large guest's RAM. */
export const controlReplyMsMax = 60_000;

// --- machine ---
/** Bytes of a Unix socket's path: `sun_path` holds 108 with the terminating zero. */
export const socketPathBytesMax = 107;
/** A machine's name: a file name on every file system, and room for suffixes in the socket paths. */
export const machineNameCharsMax = 63;
/** A machine spec is read whole before it is judged. The largest honest one is a few KiB, and YAML parsing is not linear. */
export const specBytesMax = 64 * KIB;
/** Nesting of a spec's YAML, in parser states. The spec needs about ten; the YAML library recurses and would end the process. */
export const specDepthMax = 40;
/** Problems listed for one spec; more of them do not help a reader. */
export const specProblemsMax = 50;
/** A libvirt domain or a QEMU command line that is to be imported. Real ones have some 10 KiB; the rest is room, and a bound. */
export const importBytesMax = 10 * MIB;
/** Nesting of a domain's XML, of JSON in QEMU's options, and of block nodes. Real ones have less than ten. */
export const importDepthMax = 32;
/** How much of an input's text a finding quotes: an option with a long path fits. */
export const importTextCharsMax = 300;
/** Things to decide that one error lists; the table of findings has them all. */
export const importRefusalsMax = 20;
/** Guest memory: QEMU's pc board boots with 1 MiB; the catalog and the image index hold 4 KiB page numbers in 32 bits. */
export const memoryBytesMin = 1 * MIB;
export const memoryBytesMax = 4096 * GIB;
/** QEMU's own bound on the number of vCPUs of the pc board. */
export const vcpusMax = 255;
/** QEMU refuses a larger icount shift (MAX_ICOUNT_SHIFT). */
export const icountShiftMax = 10;
/** QEMU maps and touches its memory and loads firmware before it answers; on a loaded host that takes seconds. */
export const qemuStartMsMax = 30_000;
/** After `quit` QEMU flushes disks; after that it is killed. */
export const qemuStopMsMax = 10_000;
/** How much of qemu.log an error quotes. */
export const qemuLogTailBytes = 4 * KIB;
export const qemuLogTailLines = 8;

// --- catalog ---
/** How long a writer waits for another process's transaction. They last milliseconds. */
export const catalogBusyMsMax = 5_000;

// --- checkpoint ---
/** The page of a RAM image, whatever the guest's or the host's page is; RAM blocks are whole pages of it. */
export const imagePageBytes = 4 * KIB;
/** One chunk: 1 MiB. Large enough for zstd, small enough that some in flight cost nothing. native/core/chunk.h agrees. */
export const chunkPagesMax = 256;
/** zstd's bound for a chunk of noise, rounded up. */
export const chunkCompressedBytesMax = MIB + 16 * KIB;
/** zstd level of RAM: at 1 it keeps ahead of a 10 Gb/s link on few cores; higher levels win a few per cent. */
export const chunkZstdLevel = 1;
/** Chunks read ahead of the consumer. More than the cores that compress only costs memory. */
export const captureConcurrency = 2;
export const captureConcurrencyMax = 16;
/** RAM blocks of one machine: boards have a handful, ROMs and devices add one each. */
export const imageBlocksMax = 256;
/** One RAM block: 16 TiB. Keeps every file offset and address exact in a double. */
export const imageBlockBytesMax = 16 * 1024 * GIB;
/** Name of a RAM block; QEMU's own bound is 256. */
export const imageBlockNameBytesMax = 255;
/** Chunks of one image file (1 TiB of non-zero RAM); its index is read into memory as one piece. */
export const imageChunksMax = 1024 * 1024;
/** One read of another process's memory into a Buffer. */
export const remoteReadBytesMax = 16 * MIB;
if (chunkCompressedBytesMax < chunkPagesMax * imagePageBytes) throw new Error('limits: a chunk of noise would not fit');

// --- disks ---
/** Layers of one disk: a checkpoint adds one, and reading through many costs the guest; flattening comes long before. */
export const diskLayersMax = 256;
/**
 * The newest frozen layers of a disk, which are not merged: a machine that returns to a host so many layers later takes only
 * these. A migration makes one, with --verify two. Twice as many are there before any is merged.
 */
export const recentLayers = 8;
/** Layers that one has swallowed: an id each, in disks.json. Only the newest is needed; older ones are forgotten beyond these. */
export const diskIncludesMax = 256;
/** disks.json is read whole: 16 disks with all the layers they may have. */
export const disksFileBytesMax = 8 * MIB;
/** One layer's file: the same bound as a RAM block, because its chunks are counted in the same pages. */
export const layerBytesMax = imageBlockBytesMax;
/** zstd level of a disk layer: like RAM's, it has to keep ahead of the link. */
export const layerZstdLevel = 1;
/** What of a qcow2 file is read to judge it: header and extensions must lie in the first cluster, 2 MiB at most. */
export const qcow2HeaderBytesMax = 2 * MIB;
/**
 * How fast layers are merged beside a running guest: slow enough that its own requests find the disk free, and a day's
 * layers still take minutes.
 */
export const flattenBytesPerSecond = 32 * MIB;
/** Between two looks at a merge that takes minutes. */
export const flattenPollMs = 50;
/** A program such as qemu-img that makes or describes an image; none of these reads the image's data. */
export const qemuImgMsMax = 60_000;
/** What such a program may say. */
export const qemuImgOutputBytesMax = 1 * MIB;

// --- migrate ---
/** An ownership journal: some 300 bytes a record, five records a migration; ten thousand migrations. */
export const journalBytesMax = 16 * MIB;

// --- migrate ---
/** How long the guest runs under icount to show its speed. Half of it warms the translated code up. */
export const probeMs = 800;
/** Segments while the base image is under way and the gap is wide: each one costs a frame. */
export const segmentMsShipping = 50;
/** Segments once the gap is narrow: small, so that the tail is; for the moments before the handover they may cost. */
export const segmentMsNear = 2;
export const segmentBytesShipping = 256 * KIB;
/** A stop's lease: longer than any handover, shorter than a person's patience. Renewed every third of it. */
export const stopLeaseMs = 5_000;
/** Between two looks at convergence, while the gap is wide and once it is narrow: a fraction of what is looked at. */
export const convergeTickMs = 10;
export const convergeTickMsNear = 2;
/**
 * How long the guest stands still for a destination that does not come to the log's end, beside so many times what was
 * predicted; then it goes on here. Longer than what a loaded host delays, far shorter than what guests' users bear.
 */
export const handoverPatienceMs = 3_000;
export const handoverPatienceTimes = 3;
/**
 * A replay that comes no further for so long has gone astray, or its host is stuck: a handover would only keep the guest from
 * running. A living destination replays a segment in milliseconds; attaching its disks takes seconds.
 */
export const replayStandstillMs = 20_000;
/** The destination looks so often whether its replay comes further, and gives it up when it has seen it in one place so often. */
export const replayLookMs = 1_000;
export const replayLooksMax = 8;
/** A source tells its machine's users of the divergence, not of a destination that stands still. */
if (replayLookMs * (replayLooksMax + 2) > replayStandstillMs)
  throw new Error('limits: a replay gone astray is not named');
/** The log since the registers last agreed, which a destination keeps to name what differs. */
export const logWindowBytesMax = 16 * MIB;
/** A replay that differs for a reason which is there the third time will differ the fourth time too. */
export const freshCheckpointsMax = 2;
/** Between two progress frames of a destination, at least: one for each segment that is replayed, but no more. */
export const progressMs = 2;
/** Between two updates of what a person watches. */
export const progressTickMs = 100;
/** Between two samples of a report, and how many it keeps: a page that a phone can draw. */
export const sampleMs = 50;
export const samplesMax = 4_000;
/** How long the source keeps its stopped memory for the destination's digest. */
export const verifyMsMax = 120_000;
/** Encoded log that a destination keeps while the base image comes in: an hour of a busy guest's. */
export const logSpoolBytesMax = 128 * MIB;
/** The tracer's own bound: a paced guest must keep moving, or its watchdogs bark and nothing is gained any more. */
export const paceMax = 0.95;

// --- recordings of running machines ---
/** Segments of a recording that nobody waits for: the grain of --until by time, of following, and of what a crash costs. */
export const segmentMsRecording = 100;
export const segmentBytesRecording = 1 * MIB;
/** How much of a recording a power cut may cost. Each sync costs the disk, none costs the guest. */
export const recordSyncMs = 1_000;
/** Before a recording is given up for good the guest stands still: a sync of a slow disk fits, a forgotten stop does not. */
export const giveUpLeaseMs = 20_000;
