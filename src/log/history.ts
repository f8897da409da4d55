// What came before, as a log's reader would say it. Two threads write one log: the vCPU's, whose events follow one another by
// rule, and the main loop's, whose rounds begin at any moment and then go by rule too. So each has a past of its own: the
// vCPU's goes on where it was when a round of the main loop is over.
//
// Invariant: all of it lies in `learned`.
import type { Learned } from './adaptive.js';
import { EventCode, eventCodeCount } from './event-codes.js';

const { instruction, interrupt, exception, charWrite, random, checkpoint } = EventCode;
const warpAccount = checkpoint + 1;
const clockVirtual = checkpoint + 4;

const ofVcpu = new Uint8Array(eventCodeCount);
for (const code of [instruction, interrupt, exception, charWrite, random, warpAccount, clockVirtual]) ofVcpu[code] = 1;

// Cells of the state.
const vcpuExact = 0; // hash of the vCPU's last eight events or so, instruction counts included
const vcpuKinds = 1; // the vCPU's last codes, 6 bits each
const loopRound = 2; // hash of the main loop's events since the vCPU's last one; 0 when there are none
const lastCode = 3;

/** Spreads a hash's bits. The upper ones of the result are the better ones. */
function spread(hash: number): number {
  const once = Math.imul(hash ^ (hash >>> 15), 0x85eb_ca6b);
  return Math.imul(once ^ (once >>> 13), 0xc2b2_ae35);
}

const forget = 0x2545_f491 << 4; // what is multiplied by it loses its upper four bits
const keep = 0x2545_f491;
const apart = 0x2c1b_3c6d;
const golden = 0x9e37_79b1;

export class History {
  readonly #state = new Int32Array(4);
  readonly learned: readonly Learned[] = [this.#state];

  /** The last event's code. */
  get last(): number {
    return this.#state[lastCode]!;
  }

  /** 12 bits: the vCPU's events with their counts, and where in its round the main loop is. */
  get exact(): number {
    return spread(this.#state[vcpuExact]! + Math.imul(this.#state[loopRound]!, apart)) >>> 20;
  }

  /** 10 bits: the vCPU's last five codes, and where in its round the main loop is. */
  get kinds(): number {
    return spread(this.#state[vcpuKinds]! + Math.imul(this.#state[loopRound]!, apart)) >>> 22;
  }

  /** 12 bits: the vCPU's events with their counts. */
  get vcpuExact(): number {
    return spread(this.#state[vcpuExact]!) >>> 20;
  }

  /** 6 bits: the vCPU's last three codes. */
  get vcpuKinds(): number {
    return spread(this.#state[vcpuKinds]! & 0x3_ffff) >>> 26;
  }

  /** 6 bits for a clock: where in its round the main loop is, and how much the vCPU has run since the last reading. */
  timeContext(instructions: number): number {
    const work = instructions === 0 ? 0 : 1 + workSize(instructions);
    const round = this.#state[loopRound]!;
    const kind = round === 0 ? this.#state[vcpuKinds]! & 0x3f : 0;
    return spread(Math.imul(round, apart) + work * 64 + kind) >>> 26;
  }

  took(code: number): void {
    const state = this.#state;
    if (ofVcpu[code] === 1) {
      state[vcpuExact] = Math.imul(state[vcpuExact]!, forget) + Math.imul(code + 1, golden);
      state[vcpuKinds] = (state[vcpuKinds]! << 6) + code;
      state[loopRound] = 0;
    } else {
      state[loopRound] = Math.imul(state[loopRound]!, keep) + code + 1;
    }
    state[lastCode] = code;
  }

  tookInstructions(count: number): void {
    this.#state[vcpuExact] = Math.imul(this.#state[vcpuExact]!, forget) + Math.imul(count + 1, golden);
  }

  forget(): void {
    this.#state.fill(0);
  }
}

/** Twice the binary logarithm, about: the length in bits, and whether the second bit is set. `count` < 2^52. */
function workSize(count: number): number {
  let [rest, halvings] = [count, 0];
  for (; rest >= 2 ** 31; rest /= 2) halvings++;
  const length = 32 - Math.clz32(rest);
  return 2 * (length + halvings) + (length > 1 ? (rest >>> (length - 2)) & 1 : 0);
}
