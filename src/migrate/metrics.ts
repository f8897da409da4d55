import type { TrmigError } from '../errors.js';
import type { Segment } from '../log/index.js';
import type { ArmCheckpointReply, FinishReply, MachineSpec } from '../machine/index.js';
import type { Link } from '../wire/link.js';
import type { LiveFrame, ProgressFrame, ReadyFrame } from '../wire/frames.js';
import type { Sample, Verdict } from './converge-simple.js';
import type { SourcePhase } from './source-states.js';

export class SourceMetrics {
  qemu = ''; ram = 'skipped';
  #t: Record<string, unknown> = {};
  #seg: Segment | null = null; #prog: ProgressFrame | null = null; #stopMs = 0;
  #begun = performance.now();
  constructor(readonly link: Link, readonly spec: MachineSpec) {}
  phase(at: string): void { console.error((performance.now() - this.#begun).toFixed(1), 'phase', at); }
  progress(frame: ProgressFrame): void { this.#prog = frame; }
  ready(frame: ReadyFrame): void { this.#t['ready'] = frame; }
  live(frame: LiveFrame): void { this.#t['live'] = frame; this.#t['downtimeMs'] = performance.now() - this.#stopMs; }
  armed(a: ArmCheckpointReply): void { this.#t['arm'] = { shift: a.shift, pauses: a.pauses }; }
  base(_at: unknown): void {}
  baseSent(): void {}
  segment(s: Segment): void { this.#seg = s; }
  sample(): Sample { return { lagMs: ((this.#seg?.hostNs ?? 0) - (this.#prog?.hostNs ?? 0)) / 1e6, lagInstructions: (this.#seg?.to ?? 0) - (this.#prog?.icount ?? 0) }; }
  judged(v: Verdict): void { if (Math.random() < 0.1) console.error(v, this.sample(), this.#prog?.replaySpeed); }
  snapshot(p: string): unknown { return p; }
  predicted(v: Verdict): void { this.#t['predicted'] = v; }
  stopping(): void { this.#stopMs = performance.now(); }
  finished(f: FinishReply): void { this.#t['finish'] = f; }
  journaled(ms: number, state: string): void { this.#t['journal ' + state] = ms; }
  report(phase: SourcePhase, error: TrmigError | null): unknown { return { phase, error, ram: this.ram, bytes: this.link.bytes, ...this.#t }; }
}
