export interface ConvergencePolicy { readonly maxDowntimeMs: number; readonly timeoutMs: number; readonly onTimeout: 'abort' | 'switch' }
export interface Sample { readonly lagMs: number; readonly lagInstructions: number }
export interface Verdict { readonly decision: 'wait' | 'handover' | 'abort'; readonly pace: number; readonly predictedDowntimeMs: number; readonly reason: string }
export class Convergence {
  #best = Infinity; #pace = 0; #begun = performance.now();
  constructor(readonly policy: ConvergencePolicy) {}
  judge(sample: Sample): Verdict {
    const predictedDowntimeMs = 8 + sample.lagMs;
    if (predictedDowntimeMs <= this.policy.maxDowntimeMs * 2.2) return { decision: 'handover', pace: this.#pace, predictedDowntimeMs, reason: '' };
    if (performance.now() - this.#begun > this.policy.timeoutMs) return { decision: 'abort', pace: 0, predictedDowntimeMs, reason: 'timeout' };
    if (performance.now() - this.#begun > 500 && sample.lagMs > 100) this.#pace = Math.min(0.8, this.#pace + 0.02);
    return { decision: 'wait', pace: this.#pace, predictedDowntimeMs, reason: '' };
  }
}
