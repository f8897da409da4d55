// The rounds of a soak: what came of which fault, how long the guest stood still, and whether anything has grown.
import { nameOf, type Choice } from './chance.js';
import type { Outcome, Sizes } from './round.js';
import { isFlat, quantile, trendOf, type Sample, type Trend } from './trend.js';

const mib = 1024 * 1024;
/** A guest's memory fills up, a process's heap settles: a leak of a soak's hundreds of rounds is more than this. */
const memorySlack = { share: 0.15, rest: 24 * mib };
const countSlack = { share: 0, rest: 8 };
/** Until the disk has as many layers as it keeps, and the guest has filled its memory; until a receiver has done all of its work. */
const growsForRounds = 20;
const growsForOffers = 2;
/** The chain of a disk is merged from 16 layers on; moves that fail meanwhile add one each. */
const layersMax = 40;
const filesMax = 100;

interface Measured {
  readonly name: string;
  readonly trend: Trend | null;
  readonly isMemory: boolean;
}

export class Tally {
  readonly #rounds: { readonly choice: Choice; readonly outcome: Outcome }[] = [];

  add(choice: Choice, outcome: Outcome): void {
    this.#rounds.push({ choice, outcome });
  }

  get rounds(): number {
    return this.#rounds.length;
  }

  /** What there is too much of, and what has grown. */
  problems(): string[] {
    const grown = this.#measured()
      .filter(({ trend, isMemory }) => !isFlat(trend, isMemory ? memorySlack : countSlack))
      .map((one) => `it has grown: ${trendText(one)}`);
    const most = (of: (sizes: Sizes) => number): number =>
      Math.max(...this.#rounds.map(({ outcome }) => of(outcome.sizes)));
    const [files, layers] = [most((sizes) => sizes.files), most((sizes) => sizes.layers)];
    if (files > filesMax) grown.push(`a host had ${files} files`);
    if (layers > layersMax) grown.push(`a disk had ${layers} layers`);
    return grown;
  }

  /** Rounds that nothing disturbed, and how many of them moved the guest. */
  get calm(): { readonly rounds: number; readonly moved: number } {
    const calm = this.#rounds.filter(({ choice, outcome }) => choice.disturbance === null || outcome.struck === null);
    return { rounds: calm.length, moved: calm.filter(({ outcome }) => outcome.verdict === 'moves').length };
  }

  /** Of receivers by how many machines they had been offered, for each begins anew. */
  #measured(): Measured[] {
    const byRound = (of: (sizes: Sizes) => number): Trend | null =>
      trendOf(this.#rounds.map(({ outcome }, at) => ({ at, value: of(outcome.sizes) })).slice(growsForRounds));
    const byOffer = (of: (size: Sizes['receivers'][number]) => number): Trend | null =>
      trendOf(
        this.#rounds
          .flatMap(({ outcome }) =>
            outcome.sizes.receivers.map((size): Sample => ({ at: size.offers, value: of(size) })),
          )
          .filter(({ at }) => at >= growsForOffers),
      );
    return [
      { name: "QEMU's memory", trend: byRound(({ qemu }) => qemu.residentBytes), isMemory: true },
      { name: "QEMU's descriptors", trend: byRound(({ qemu }) => qemu.descriptors), isMemory: false },
      { name: "receivers' memory", trend: byOffer(({ residentBytes }) => residentBytes), isMemory: true },
      { name: "receivers' descriptors", trend: byOffer(({ descriptors }) => descriptors), isMemory: false },
      { name: 'files of a host', trend: byRound(({ files }) => files), isMemory: false },
      { name: 'layers of the disk', trend: byRound(({ layers }) => layers), isMemory: false },
    ];
  }

  /** The tables that a soak ends with. */
  text(): string {
    const names = [...new Set(this.#rounds.map(({ choice }) => nameOf(choice)))].sort();
    const rows = names.map((name) => {
      const own = this.#rounds.filter(({ choice }) => nameOf(choice) === name).map(({ outcome }) => outcome);
      const verdicts = [...new Set(own.map(({ verdict }) => verdict))].sort();
      const counted = verdicts.map((verdict) => `${own.filter((one) => one.verdict === verdict).length} ${verdict}`);
      const struck = own.filter((one) => one.struck !== null).length;
      return `${name.padEnd(24)} ${String(own.length).padStart(4)} rounds, ${String(struck).padStart(3)} struck:  ${counted.join('; ')}`;
    });
    const downtimes = this.#rounds.map(({ outcome }) => outcome.downtimeMs).filter((ms) => ms !== null);
    const at = (share: number): string => quantile(downtimes, share).toFixed(1);
    return [
      'rounds by fault, and what became of the guest:',
      ...rows,
      `downtime of ${downtimes.length} moves: median ${at(0.5)}, 90 % ${at(0.9)}, 99 % ${at(0.99)}, longest ${at(1)} ms`,
      'the first third of the rounds beside the last one:',
      ...this.#measured().map(trendText),
    ].join('\n');
  }
}

function trendText({ name, trend, isMemory }: Measured): string {
  if (trend === null) return `${name}: too few rounds to say`;
  const shown = (value: number): string => (isMemory ? `${(value / mib).toFixed(1)} MiB` : String(value));
  return `${name}: ${shown(trend.first)}, then ${shown(trend.last)} (${trend.samples} samples)`;
}
