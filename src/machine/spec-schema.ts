// The spec's fields, as docs/spec.md describes them. This file says what is well-formed; what can be *replayed* is the
// profile's to say (profile.ts), so that "kvm" gets a reason and not "invalid enum value".
import { z } from 'zod';
import { icountShiftMax, memoryBytesMax, memoryBytesMin, vcpusMax } from '../limits.js';
import { machineNamePattern } from './home.js';
import { formatBytes, parseBytes } from './memory.js';

/** The format that this trmig writes. A spec travels with recordings, so it says its format. */
export const SPEC_FORMAT = 1;

export const STRATEGIES = ['trace', 'precopy', 'postcopy', 'hybrid'] as const;
/** How a machine is moved; see the design's words. */
export type Strategy = (typeof STRATEGIES)[number];

export const ARCHITECTURES = ['x86_64', 'aarch64'] as const;
/** What a machine's vCPU is, by QEMU's name. */
export type Architecture = (typeof ARCHITECTURES)[number];

const BOARDS = ['pc', 'q35', 'virt'] as const;
export type Board = (typeof BOARDS)[number];

interface ArchitectureFacts {
  /** The boards there are; the first is what a spec that names none gets. */
  readonly boards: readonly [Board, ...Board[]];
  /** What a spec that names no CPU model gets: one whose every instruction replays. */
  readonly cpu: string;
}

export const architectureFacts: Readonly<Record<Architecture, ArchitectureFacts>> = {
  x86_64: { boards: ['pc', 'q35'], cpu: 'qemu64' },
  aarch64: { boards: ['virt'], cpu: 'cortex-a57' },
};

// What ends up inside one QEMU option: no commas (they separate options), no control characters.
const word = z
  .string()
  .max(128)
  .regex(/^[A-Za-z0-9][A-Za-z0-9._+-]*$/, 'use letters, digits and ._+-');

const path = z
  .string()
  .min(1, 'a path must not be empty')
  .max(4096)
  // eslint-disable-next-line no-control-regex
  .regex(/^[^\u0000-\u001f\u007f]*$/, 'a path must not hold control characters');

// YAML 1.2 reads `on` and `off` as words; QEMU's users write them.
const onOff = z.union(
  [z.boolean(), z.enum(['on', 'off']).transform((v) => v === 'on')],
  'use on or off (or true, false)',
);

const memory = z.union([z.string(), z.number()], 'use a size such as 256M').transform((size, context): number => {
  const bytes = parseBytes(size);
  if (bytes === null) {
    context.addIssue({
      code: 'custom',
      message: `'${String(size).slice(0, 40)}' is not a size; use one such as 256M or 2G`,
    });
    return z.NEVER;
  }
  if (bytes < memoryBytesMin || bytes > memoryBytesMax) {
    const [least, most] = [formatBytes(memoryBytesMin), formatBytes(memoryBytesMax)];
    context.addIssue({ code: 'custom', message: `${formatBytes(bytes)} is out of bounds (${least} to ${most})` });
    return z.NEVER;
  }
  if (bytes % 4096 !== 0) {
    context.addIssue({ code: 'custom', message: `${formatBytes(bytes)} is not a whole number of 4 KiB pages` });
    return z.NEVER;
  }
  return bytes;
});

const disk = z.strictObject({
  /** The image file. */
  file: path,
  format: z.enum(['raw', 'qcow2']),
  readonly: onOff.default(false),
  /** The file lies at the same path on every host, so it is never shipped. */
  shared: onOff.default(false),
});

const nic = z.discriminatedUnion(
  'backend',
  [
    z.strictObject({
      backend: z.literal('tap'),
      /** The host's tap device; a Linux interface name has at most 15 bytes. */
      interface: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$/, 'use the name of a tap device'),
      mac: macAddress(),
    }),
    z.strictObject({ backend: z.literal('user'), mac: macAddress() }),
  ],
  'use backend: tap or backend: user',
);

function macAddress(): z.ZodType<string, string> {
  return z
    .string('a nic needs a mac: it must be the same wherever the machine runs')
    .regex(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i, 'use a MAC address such as 52:54:00:a0:00:01')
    .refine((mac) => (parseInt(mac.slice(0, 2), 16) & 1) === 0, 'this is a multicast address')
    .transform((mac) => mac.toLowerCase());
}

function wholeNumber(least: number, most: number): z.ZodNumber {
  const reason = `use a whole number from ${least} to ${most}`;
  return z.number(reason).int(reason).min(least, reason).max(most, reason);
}

export const specSchema = z.strictObject({
  format: z.literal(SPEC_FORMAT, `this trmig reads format ${SPEC_FORMAT}`).default(SPEC_FORMAT),
  name: z.string().regex(machineNamePattern, 'use [a-z0-9][a-z0-9._-]{0,62}'),
  strategy: z.enum(STRATEGIES).default('trace'),
  qemu: z
    .strictObject({
      version: z
        .string("quote the version: '10.0'")
        .regex(/^\d{1,3}\.\d{1,3}(\.\d{1,3})?$/, "use a version such as '10.0'")
        .default('10.0'),
      binary: path.optional(),
    })
    .default({ version: '10.0' }),
  arch: z.enum(ARCHITECTURES).default('x86_64'),
  board: z.enum(BOARDS).optional(),
  hpet: onOff.default(false),
  cpu: word.optional(),
  memory,
  smp: wholeNumber(1, vcpusMax).default(1),
  accel: word.default('tcg'),
  shift: wholeNumber(0, icountShiftMax).or(z.literal('auto')).optional(),
  rtc: z.enum(['host', 'vm', 'rt']).default('host'),
  kernel: path.optional(),
  initrd: path.optional(),
  append: z
    .string()
    .max(4096)
    // eslint-disable-next-line no-control-regex
    .regex(/^[^\u0000-\u001f]*$/, 'a kernel command line is one line')
    .optional(),
  disks: z.array(disk).max(16).default([]),
  nics: z.array(nic).max(8).default([]),
  devices: z.array(word).max(32).default([]),
  console: z.enum(['serial', 'none']).default('serial'),
});

type Parsed = z.output<typeof specSchema>;

/** A well-formed spec: defaults filled in, paths absolute, memory in bytes. */
export interface MachineSpec extends Omit<Parsed, 'memory' | 'board' | 'cpu'> {
  readonly memoryBytes: number;
  readonly board: Board;
  readonly cpu: string;
}

export type DiskSpec = z.output<typeof disk>;
export type NicSpec = z.output<typeof nic>;
