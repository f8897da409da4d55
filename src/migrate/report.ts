// What a migration leaves behind: report.json. The field names are stable; docs/report.md describes them.
// Milliseconds are fractions with microsecond resolution; bytes are what crossed the link, frames included.

import type { TrmigError } from '../errors.js';

export type Outcome = 'completed' | 'aborted' | 'failed';
export type Comparison = 'equal' | 'different' | 'skipped';

/** The guest's pause at the handover, by what took the time. The terms sum to `downtimeMs`. */
export interface DowntimeTerms {
  /** Stopping the vCPU. */
  readonly stopMs: number;
  /** Letting device requests that were in flight end. */
  readonly quiesceMs: number;
  /** From the final segment to its replay's last instruction, the way to the destination included. */
  readonly tailMs: number;
  /** Digesting registers and devices on the destination. */
  readonly digestMs: number;
  /** Fencing the source, and writing both hosts' journals. */
  readonly ownershipMs: number;
  /** Going live: freezing for `--verify`, flipping, starting the vCPU. */
  readonly liveMs: number;
  /** The rest: messages under way. */
  readonly linkMs: number;
}

/** One look at the migration. Rates are per second of host time. */
export interface ReportSample {
  /** Since the migration's start. */
  readonly atMs: number;
  readonly phase: string;
  readonly sourceIcount: number;
  readonly destinationIcount: number;
  readonly lagInstructions: number;
  /** What the lag is estimated to take to replay. */
  readonly lagMs: number;
  /** Of the log on the wire. */
  readonly logBytesPerSecond: number;
  /** All bytes sent. */
  readonly linkBytesPerSecond: number;
  /** Instructions replayed a second while there was something to replay; 0 when unknown. */
  readonly replayPerSecond: number;
  readonly sourcePerSecond: number;
  /** What the guest executed in the last 100 ms, pacing and all, ÷ what it did before it was armed; 0 when it was idle or it is too early. */
  readonly guestSpeed: number;
  /** Replay speed ÷ the source's unpaced speed; 0 when unknown. */
  readonly replaySpeed: number;
  readonly pace: number;
  readonly predictedDowntimeMs: number;
}

/** A pause of the source's vCPU before the handover, as the tracer measured it. */
export interface ReportPause {
  readonly what: string;
  readonly ms: number;
  readonly atMs: number;
}

/** A replay that differed from its log, before anything was handed over. */
export interface ReportDivergence {
  /** When the source learnt of it. */
  readonly atMs: number;
  /** The migration that it ended. */
  readonly migrationId: string;
  /** Where it was found, in instructions since that migration's checkpoint; null when the destination did not say. */
  readonly instruction: number | null;
  /** The log's event there, or the first one since the registers agreed; null when it is not known. */
  readonly event: string | null;
  readonly message: string;
  /** null: the migration ended with it. */
  readonly healedBy: 'fresh-checkpoint' | null;
}

export interface MigrationReport {
  readonly format: 1;
  readonly strategy: 'trace';
  readonly migrationId: string;
  readonly machine: string;
  readonly outcome: Outcome;
  /** Who may run the machine now, by the source's journal. */
  readonly owner: 'source' | 'destination' | 'unresolved';
  readonly startedAt: string;
  readonly downtimeMs: number | null;
  readonly downtime: DowntimeTerms | null;
  readonly predictedDowntimeMs: number | null;
  readonly predicted: Readonly<Record<string, number>> | null;
  readonly totalMs: number;
  readonly phases: readonly {
    readonly phase: string;
    readonly atMs: number;
  }[];
  readonly divergences: readonly ReportDivergence[];
  readonly pauses: readonly ReportPause[];
  readonly bytes: {
    readonly base: number;
    readonly log: number;
    readonly deviceState: number;
    readonly disk: number;
    readonly overhead: number;
    readonly total: number;
    /** Sent by the source after the base image was through. */
    readonly afterBase: number;
  };
  readonly link: {
    readonly encrypted: boolean;
    /** The cap that was asked for (`--bandwidth`); null: none. */
    readonly bytesPerSecondMax: number | null;
    /** How often the link lost its connection and went on over another one. */
    readonly reconnects: number;
    /** For how long it had none. */
    readonly brokenMs: number;
  };
  readonly log: {
    readonly rawBytes: number;
    readonly wireBytes: number;
    readonly events: number;
    readonly segments: number;
    readonly instructions: number;
  };
  readonly digests: {
    readonly ram: Comparison;
    readonly disks: Comparison;
    readonly devices: Comparison;
    readonly registers: Comparison;
  };
  readonly pacing: {
    readonly max: number;
    /** Mean pace from the base image's end to the handover. */
    readonly meanWhileCatchingUp: number;
    readonly pacedMs: number;
  };
  readonly clock: {
    /** log2 of the guest ns that one instruction stands for. */
    readonly shift: number | null;
    /** Host time minus guest time from arming to the handover: how far the guest's clock fell behind (negative: ran ahead). */
    readonly behindMs: number | null;
  };
  readonly samples: readonly ReportSample[];
  readonly guest: {
    readonly arch: string;
    readonly board: string;
    readonly memoryBytes: number;
    readonly vcpus: number;
  };
  readonly qemu: string;
  readonly host: {
    readonly source: string;
    readonly destination: string;
    readonly trmig: string;
  };
  readonly error: ReturnType<TrmigError['toJSON']> | null;
}
