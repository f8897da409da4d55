// One move from where the guest is to the other host, with what was chosen done to it; when all is calm again it is seen who has
// the guest, that it ran once only and lost nothing, and that nothing is left behind.
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { currentOwner } from '../../src/migrate/ownership.js';
import { readJournal } from '../../src/migrate/journal.js';
import type { MigrationReport } from '../../src/migrate/report.js';
import { goOnWithRoom, type Trmig } from '../faults/hosts.js';
import { isCalm, judge, type Place } from '../faults/judge.js';
import { consoleText, counters } from '../system/console.js';
import { sleep } from '../system/stage.js';
import { nameOf, type Choice } from './chance.js';
import { CommandProcess } from './command-process.js';
import { within, type Field } from './field.js';
import { port, sizeOf, type Size, type Station } from './station.js';
import { strike, type Move } from './strike.js';

export interface Outcome {
  readonly verdict: Place;
  /** When the fault was done, and in which phases; null for no fault, or none in time. */
  readonly struck: string | null;
  /** What the two journals said before a person looked. */
  readonly records: string;
  /** Why the source did not give it away; '' when it did. */
  readonly why: string;
  readonly seconds: number;
  /** From the source's first moment to its last. */
  readonly moveMs: number;
  /** What the source says of a move that it has seen to its end. */
  readonly downtimeMs: number | null;
  readonly sizes: Sizes;
}

/** What must not grow. */
export interface Sizes {
  readonly qemu: Size;
  readonly receivers: readonly (Size & { readonly offers: number })[];
  readonly files: number;
  readonly layers: number;
}

export interface RoundOptions {
  readonly usualMs: number;
  /** The guest is to read its whole disk. */
  readonly verifiesDisk: boolean;
}

const policy = ['--max-downtime', '200ms', '--timeout', '60s', '--on-timeout', 'switch'];
/** Both sides have ended or wait, and it is not only that neither has said yet what it is about to do. */
const calmMs = 1_000;
/** What a receiver still does in peace when its machine is live: it removes old layers, it writes down that it came. */
const goesByItselfMs = 30_000;

/** @throws Error for whatever must not be */
export async function playRound(field: Field, choice: Choice, options: RoundOptions): Promise<Outcome> {
  return new Round(field, choice, options).play();
}

class Round {
  readonly from: Station;
  readonly to: Station;
  readonly #problems: string[] = [];
  #mark = 0;
  /** What its receiver had said before. */
  #heard = 0;
  #moveMs = 0;

  constructor(
    readonly field: Field,
    readonly choice: Choice,
    readonly options: RoundOptions,
  ) {
    this.from = field.at;
    this.to = field.other;
  }

  async play(): Promise<Outcome> {
    const begunMs = performance.now();
    const { disturbance } = this.choice;
    this.#mark = statSync(this.to.home.machine('m').consoleLog, { throwIfNoEntry: false })?.size ?? 0;
    const report = this.field.reportFolder();
    const move = await this.#begin(report);
    try {
      const struck = disturbance === null ? null : await strike(move, disturbance);
      const isCancelled =
        struck !== null && disturbance?.side === 'destination' && disturbance.fault.startsWith('cancel');
      if (isCancelled) await within('the receiver has ended', () => move.receiver.isGone);
      await this.#calm(move);
      if (disturbance?.fault === 'disk-full') for (const { home } of this.field.stations) await goOnWithRoom(home);
      const [records, verdict] = await this.#judge(move);
      await this.#prove(verdict, struck !== null);
      if (this.#problems.length > 0) throw new Error(this.#problems.join('\n'));
      const { downtimeMs, why } = reported(report);
      const seconds = (performance.now() - begunMs) / 1000;
      const sizes = await this.#sizes();
      return { verdict, struck, records, why, seconds, moveMs: this.#moveMs, downtimeMs, sizes };
    } finally {
      await move.sender.kill();
      move.proxy.process.stdin!.end();
      await move.proxy.ended;
    }
  }

  async #begin(report: string): Promise<Move> {
    const { field, from, to, choice } = this;
    const receiver = await to.receiver();
    this.#heard = receiver.said.length;
    to.countOffer();
    const proxy = field.start('proxy-process.js', [to.host.address, String(port)]);
    const address = `${field.proxyAddress}:${Number((await proxy.says('port'))['port'])}`;
    const verify = choice.verify ? ['--verify'] : [];
    const begunMs = performance.now();
    const words = ['migrate', 'm', address, '--report-dir', report, ...policy, ...verify];
    const sender = await CommandProcess.of(from.cli.start(words));
    return { from, to, sender, receiver, proxy, begunMs, usualMs: this.options.usualMs };
  }

  /** Until nothing changes by itself any more: both processes have ended or wait for a person, and no lease runs. */
  async #calm({ sender, receiver, begunMs }: Move): Promise<void> {
    const said = (): typeof receiver.said => receiver.said.slice(this.#heard);
    const lastPhase = (): unknown => said().findLast((one) => 'phase' in one)?.['phase'];
    const hasEnded = (): boolean => receiver.isGone || said().some((one) => 'live' in one);
    const waits = (): boolean => hasEnded() || [undefined, 'asking'].includes(lastPhase() as string | undefined);
    await within('the source has ended', () => sender.isGone);
    this.#moveMs = performance.now() - begunMs;
    let calmSinceMs = performance.now();
    await within('the destination has ended, or waits', () => {
      if (!waits()) calmSinceMs = performance.now();
      return hasEnded() || performance.now() - calmSinceMs > calmMs;
    });
    for (const station of this.field.stations) {
      await within(`the machine on ${station.name} is calm`, async () => {
        const tracer = await station.tracer();
        if (tracer === null || tracer === undefined) return tracer === null;
        return isCalm(tracer);
      });
    }
  }

  async #judge({ sender, receiver }: Move): Promise<[string, Place]> {
    const homes = { from: this.from.home, to: this.to.home };
    const run: Trmig = (home, ...args) => (home === homes.from ? this.from : this.to).trmig(...args);
    const { place, records, problems } = await judge(homes, { source: sender, destination: receiver }, run);
    this.#problems.push(...problems);
    if (place === null) throw new Error(['it runs nowhere', ...this.#problems].join('\n'));
    return [records, place];
  }

  /** The guest has run once only, goes on, is reached, finds its data; and nothing is left behind. */
  async #prove(verdict: Place, wasStruck: boolean): Promise<void> {
    const { field, to, from } = this;
    if (verdict.startsWith('moves')) {
      field.arrived(this.#mark);
    } else {
      const lines = counters(consoleText(to.home.machine('m').consoleLog).slice(this.#mark)).length;
      if (lines > 0) this.#problems.push(`it said ${lines} lines where it never was`);
    }
    for (const station of field.stations) await station.receiver();
    await field.guestGoesOn();
    await field.clientGoesOn();
    if (this.options.verifiesDisk) await field.ask('verify', /verify: ok \d+ records.*\n/);
    const gap = field.checkConsole({ mayLackLines: this.choice.disturbance?.fault === 'disk-full' });
    if (gap !== null) this.#problems.push(`its console: ${gap}`);
    await this.#checkQemus(wasStruck);
    // Whatever a fault leaves behind is to go with the next move that nothing disturbs.
    const isWhole = !wasStruck && verdict === 'moves';
    await this.#nothing(async () => [
      ...(await from.strangers(from.qemus)),
      ...(await to.strangers(to.qemus)),
      ...(isWhole ? await from.uselessFiles(null) : []),
      ...(isWhole ? await to.uselessFiles(to.qemus[0] ?? 0) : []),
    ]);
  }

  /** One QEMU has the guest. A source that was killed when it was over leaves one that has given it away, until the next visit. */
  async #checkQemus(wasStruck: boolean): Promise<void> {
    const { at, other } = this.field;
    const mayStay = wasStruck && other === this.from ? 1 : 0;
    await within('one QEMU is left', () => at.qemus.length === 1 && other.qemus.length <= mayStay);
    if (other.qemus.length === 0) return;
    const tracer = await other.tracer();
    const { records } = await readJournal(other.home.machine('m').ownership);
    const isLeft = tracer?.owned === false && !tracer.running && currentOwner(records) === 'there';
    if (!isLeft) this.#problems.push(`${other.name} has a QEMU that has not given the guest away`);
  }

  /** What is found is a problem, unless it goes by itself. */
  async #nothing(find: () => Promise<string[]>): Promise<void> {
    const untilMs = performance.now() + goesByItselfMs;
    let found = await find();
    for (; found.length > 0 && performance.now() < untilMs; found = await find()) await sleep(50);
    this.#problems.push(...found);
  }

  async #sizes(): Promise<Sizes> {
    const { at, stations } = this.field;
    const receivers = stations.map((station) => station.receiverSize()).filter((size) => size !== null);
    const layers = await Promise.all(stations.map(async (station) => (await station.layers()).length));
    return {
      qemu: sizeOf(at.qemus[0]!),
      receivers,
      files: Math.max(...stations.map(({ fileCount }) => fileCount)),
      layers: Math.max(...layers),
    };
  }
}

/** What the report says; a source that was killed has left none. */
function reported(folder: string): Pick<Outcome, 'downtimeMs' | 'why'> {
  try {
    const report = JSON.parse(readFileSync(path.join(folder, 'report.json'), 'utf8')) as MigrationReport;
    const { code, message } = report.error ?? { code: '', message: '' };
    return { downtimeMs: report.outcome === 'completed' ? report.downtimeMs : null, why: `${code} ${message}`.trim() };
  } catch {
    return { downtimeMs: null, why: 'no report' };
  }
}

/** A line for a person. */
export function outcomeLine(round: number, choice: Choice, outcome: Outcome): string {
  const { verdict, struck, records, seconds, downtimeMs, why, sizes } = outcome;
  const downtime = downtimeMs === null ? '' : `, downtime ${downtimeMs.toFixed(1)} ms`;
  const mib = (bytes: number): string => (bytes / 1024 / 1024).toFixed(0);
  const receivers = sizes.receivers.map(({ residentBytes, offers }) => `${mib(residentBytes)}/${offers}`).join(' ');
  return (
    `${String(round).padStart(4)}  ${nameOf(choice).padEnd(24)} ${(struck ?? '').padEnd(58)} ${verdict.padEnd(18)} ` +
    `${records.padEnd(24)} ${seconds.toFixed(1)} s${downtime}${why === '' ? '' : `; ${why.slice(0, 80)}`}` +
    `; QEMU ${mib(sizes.qemu.residentBytes)} MiB, ${sizes.qemu.descriptors} fds; receivers ${receivers} MiB/offers; ` +
    `${sizes.files} files, ${sizes.layers} layers`
  );
}
