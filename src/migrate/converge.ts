// The loop between the base image and the handover: look, judge, pace, and look again.

import { TrmigError } from '../errors.js';
import {
  convergeTickMs,
  convergeTickMsNear,
  replayStandstillMs,
  segmentBytesShipping,
  segmentMsNear,
} from '../limits.js';
import type { TracerClient } from '../machine/index.js';
import { rehearseHandover } from '../wire/rehearsal.js';
import { judge, type ConvergencePolicy } from './convergence.js';
import type { SourceMetrics } from './metrics.js';
import type { SessionJournal } from './session-journal.js';

/** Smaller changes of the pace are not worth a message. */
const paceStep = 0.02;
/** Syncs that show what the ones inside the handover will take, to begin with and then so often: a disk that was busy comes to rest. */
const journalRehearsals = 5;
const journalRehearsalMs = 200;

/** Measures beside the loop, which a busy disk must not hold up. */
class JournalRehearsals {
  #nextMs = performance.now() + journalRehearsalMs;
  #failed: unknown = null;

  constructor(private readonly journal: SessionJournal) {}

  /** What a record takes, as far as is known. @throws TrmigError what a rehearsal has thrown */
  latestMs(): number {
    if (this.#failed !== null) throw this.#failed as Error;
    if (performance.now() >= this.#nextMs) {
      this.#nextMs = Infinity;
      this.journal
        .rehearse()
        .catch((thrown: unknown) => (this.#failed = thrown))
        .finally(() => (this.#nextMs = performance.now() + journalRehearsalMs));
    }
    return this.journal.recordMs;
  }
}

export interface ConvergeOptions {
  readonly tracer: TracerClient;
  readonly journal: SessionJournal;
  readonly metrics: SourceMetrics;
  readonly policy: ConvergencePolicy;
  /** Whether there is still something to converge to. */
  readonly goesOn: () => boolean;
}

/**
 * Returns true when it is time to hand over, false when `goesOn` says that the migration has ended otherwise.
 * @throws TrmigError E_NOT_CONVERGED at the timeout, if the policy says `abort`; E_STALLED for a replay that stands still; E_TRACER_*
 */
export async function converge(options: ConvergeOptions): Promise<boolean> {
  const { tracer, journal, metrics, policy, goesOn } = options;
  let near = false;
  rehearseHandover();
  for (let i = 0; i < journalRehearsals; i++) await journal.rehearse();
  const rehearsals = new JournalRehearsals(journal);
  while (goesOn()) {
    metrics.journalMs = rehearsals.latestMs();
    if (metrics.standstillMs > replayStandstillMs) {
      throw new TrmigError('E_STALLED', `the destination has replayed nothing for ${replayStandstillMs} ms`);
    }
    const verdict = judge(metrics.sample(), policy);
    metrics.judged(verdict);
    // A guest is not stopped for a destination that is not there.
    if (verdict.decision === 'handover' && metrics.link.isWell) return true;
    if (verdict.decision === 'abort') {
      throw new TrmigError('E_NOT_CONVERGED', `no handover within ${policy.timeoutMs} ms: ${verdict.reason}`);
    }
    if (verdict.near && !near) {
      near = true;
      await tracer.segment({ ms: segmentMsNear, bytes: segmentBytesShipping });
    }
    if (Math.abs(verdict.pace - metrics.pace) >= paceStep) {
      await tracer.pace(verdict.pace);
      metrics.paced(verdict.pace);
    }
    await new Promise((done) => setTimeout(done, verdict.near ? convergeTickMsNear : convergeTickMs));
  }
  return false;
}
