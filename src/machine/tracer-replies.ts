// What the tracer may say, as schemas: docs/tracer-protocol.md in code. The bytes come from another process and are
// foreign until they fit. Unknown fields are dropped (a newer tracer may say more), missing ones are refused.
import { z } from 'zod';
import { icount, type Icount } from '../units.js';

// zod compiles a schema at its first use, which for `finish`, `reached` and `live` would fall into the guest's downtime.
z.config({ jitless: true });

const count = z.number().int().nonnegative();
const position = count.transform((n): Icount => icount(n));
const digest = z.string().regex(/^[0-9a-f]{1,64}$/);
const text = z.string().max(64 * 1024);

/** Base64 to bytes; Node skips what is not base64, so the length is compared with what it must be. */
const bytes = z.string().transform((encoded, context): Buffer => {
  const decoded = Buffer.from(encoded, 'base64');
  const padding = encoded.endsWith('==') ? 2 : encoded.endsWith('=') ? 1 : 0;
  if (encoded.length % 4 !== 0 || decoded.length !== (encoded.length / 4) * 3 - padding) {
    context.addIssue({ code: 'custom', message: 'not base64' });
    return z.NEVER;
  }
  return decoded;
});

export const modeSchema = z.enum(['dormant', 'armed', 'playing']);

export const blockSchema = z.object({
  name: text,
  address: count,
  bytes: count,
  pageBytes: count.refine((n) => n > 0 && Number.isInteger(Math.log2(n)), 'not a power of two'),
});

const blocksSchema = z.array(blockSchema).max(4096);

export const helloSchema = z.object({
  tracer: text,
  qemu: text,
  target: text,
  pid: count,
  mode: modeSchema,
  running: z.boolean(),
  icount: position,
  blocks: blocksSchema,
});

export const statusSchema = z.object({
  mode: modeSchema,
  running: z.boolean(),
  stoppedBy: text.nullable(),
  icount: position,
  shift: count,
  virtualNs: count,
  hostNs: count,
  ring: z.object({ usedBytes: count, capacityBytes: count }),
  segments: count,
  events: count,
  rawBytes: count,
  /** While playing: where the replay stands, and the code of the event that the log has `left` instructions further. */
  replay: z.object({ icount: position, left: count, event: count }).nullable().default(null),
  stream: z.boolean(),
  lost: text.nullable(),
  pace: z.number().min(0).max(1),
  pacedNs: count,
  leaseMs: count.nullable(),
  owned: z.boolean(),
  pauses: z.array(z.object({ what: text, ns: count, hostNs: count })).max(1024),
});

export const probeSchema = z.object({ instructions: count, busyNs: count, ns: count });

export const frozenSchema = z.object({ pid: count.positive(), blocks: blocksSchema });

export const armSchema = z.object({
  shift: count,
  virtualNs: count,
  pauses: z.object({
    stopNs: count,
    quiesceNs: count,
    flipNs: count,
    stateNs: count.default(0),
    freezeNs: count.default(0),
    totalNs: count,
  }),
});

export const armCheckpointSchema = armSchema.extend({ deviceState: bytes, frozen: frozenSchema });

export const disarmSchema = z.object({
  icount: position,
  pauses: z.object({ stopNs: count, quiesceNs: count, flipNs: count, totalNs: count }),
});

export const finishSchema = z.object({
  /** When the guest was stopped, by the host's monotonic clock. */
  hostNs: count,
  icount: position,
  virtualNs: count,
  registers: digest,
  devices: digest,
  pauses: z.object({ stopNs: count, quiesceNs: count, flushNs: count, digestNs: count, totalNs: count }),
});

export const durationSchema = z.object({ ns: count });

export const collapseSchema = z.object({ collapsedBytes: count, done: z.boolean(), block: count, offset: count });

export const digestSchema = z.object({ icount: position, registers: digest, devices: digest });
export const digestRamSchema = digestSchema.extend({ ram: digest });

export const freezeSchema = frozenSchema.extend({ ns: count });

export const liveSchema = z.object({
  /** When the guest was let go on, by the host's monotonic clock. */
  hostNs: count,
  virtualNs: count,
  frozen: frozenSchema.optional(),
  pauses: z.object({ freezeNs: count, flipNs: count, startNs: count, totalNs: count }),
});

/** Commands that return nothing of interest. */
export const emptySchema = z.object({});

/** The events, by name. */
export const eventSchemas = {
  played: z.object({ seq: count, icount: position, virtualNs: count, hostNs: count, waitNs: count }),
  reached: z.object({
    icount: position,
    virtualNs: count,
    final: z.boolean(),
    why: z.enum(['until', 'final', 'stream lost', 'frame damaged']),
    registers: digest,
    devices: digest,
    digestNs: count,
  }),
  diverged: z.object({ seq: count, icount: position, expected: digest, actual: digest }),
  lost: z.object({ reason: text }),
  lease: z.object({}),
  /** Somebody else has stopped the armed machine; `state` is QEMU's word for how. */
  stopped: z.object({ state: text }),
  /** QEMU ends in order; `cause` is its word for why. */
  ended: z.object({ cause: text }),
} as const;

export type TracerMode = z.infer<typeof modeSchema>;
/** A block of guest RAM: `address` and `bytes` are of the QEMU process (or of the frozen image's). */
export type RamBlock = z.infer<typeof blockSchema>;
export type TracerHello = z.infer<typeof helloSchema>;
export type TracerStatus = z.infer<typeof statusSchema>;
export type ProbeReply = z.infer<typeof probeSchema>;
export type FrozenImage = z.infer<typeof frozenSchema>;
export type ArmReply = z.infer<typeof armSchema>;
export type ArmCheckpointReply = z.infer<typeof armCheckpointSchema>;
export type DisarmReply = z.infer<typeof disarmSchema>;
export type FinishReply = z.infer<typeof finishSchema>;
export type DigestReply = z.infer<typeof digestSchema>;
export type DigestRamReply = z.infer<typeof digestRamSchema>;
export type FreezeReply = z.infer<typeof freezeSchema>;
export type LiveReply = z.infer<typeof liveSchema>;
export type TracerEventName = keyof typeof eventSchemas;
export type TracerEventData<N extends TracerEventName> = z.infer<(typeof eventSchemas)[N]>;
/** An event with its validated data. */
export type TracerEvent = {
  [N in TracerEventName]: { readonly event: N; readonly data: TracerEventData<N> };
}[TracerEventName];
