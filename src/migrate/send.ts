// The sending end of a connection: one try to move the machine, and, when its replay has differed from its log, another with a
// fresh checkpoint. Each is a migration of its own, with its own id and its own records in both journals, so that what one has
// promised binds no other; they have the connection, the time and the report in common.
// Invariant: the next begins when the guest runs here again and this journal says so.

import { TrmigError, asTrmigError } from '../errors.js';
import { freshCheckpointsMax } from '../limits.js';
import type { Machine } from '../machine/index.js';
import { capabilities } from '../wire/capabilities.js';
import type { Link } from '../wire/link.js';
import { divergenceOf } from './log-window.js';
import { SourceMetrics } from './metrics.js';
import type { ReportDivergence } from './report.js';
import { SourceRun, type SourceOptions, type SourceResult } from './source.js';

/** Moves `machine` over `link`, which is closed then. Never rejects: the result says how it ended and who has the machine. */
export async function sendMachine(
  machine: Machine,
  link: Link,
  migrationId: string,
  options: SourceOptions,
): Promise<SourceResult> {
  const tries = new Tries(machine, link, options);
  try {
    return await tries.go(migrationId);
  } finally {
    await link.close().catch(() => undefined);
  }
}

class Tries {
  #run: SourceRun | null = null;
  #gone: TrmigError | null = null;

  constructor(
    readonly machine: Machine,
    readonly link: Link,
    readonly options: SourceOptions,
  ) {
    void this.#read();
  }

  async go(migrationId: string): Promise<SourceResult> {
    const { machine, link, options } = this;
    let metrics = new SourceMetrics(migrationId, link, machine.spec, options.verify);
    for (let fresh = 0; ; fresh++) {
      this.#run = new SourceRun(machine, link, metrics.migrationId, options, metrics);
      const running = this.#run.conduct();
      if (this.#gone !== null) this.#run.peerGone(this.#gone);
      const result = await running;
      if (result.error?.code !== 'E_DIVERGED') return result;
      const heals = fresh < freshCheckpointsMax && this.#mayBeginAnew(result);
      const divergence = describe(result.error, metrics, heals);
      metrics.divergences.push(divergence);
      options.onDiverged?.(divergence);
      if (!heals) return { ...result, report: { ...result.report, divergences: [...metrics.divergences] } };
      metrics = metrics.again(`${migrationId}.${fresh + 2}`);
    }
  }

  /** The guest is back here, and the other side waits for what comes. */
  #mayBeginAnew({ phase }: SourceResult): boolean {
    const { signal, onDivergence = 'retry' } = this.options;
    if (phase.at !== 'failed' || onDivergence === 'abort') return false;
    return (
      this.#gone === null && signal?.aborted !== true && this.link.peer.capabilities.includes(capabilities.offerAgain)
    );
  }

  /** The link has one reader; its frames are for the try that is under way. */
  async #read(): Promise<void> {
    try {
      for await (const frame of this.link.frames()) this.#run?.onFrame(frame);
      this.#gone = new TrmigError('E_PEER_GONE', 'the destination closed the connection');
    } catch (error) {
      this.#gone = asTrmigError(error);
    }
    this.#run?.peerGone(this.#gone);
  }
}

function describe(error: TrmigError, { atMs, migrationId }: SourceMetrics, heals: boolean): ReportDivergence {
  const at = divergenceOf(error);
  return {
    atMs,
    migrationId,
    instruction: at?.icount ?? null,
    event: at?.event || null,
    message: error.message,
    healedBy: heals ? 'fresh-checkpoint' : null,
  };
}
