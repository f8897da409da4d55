// The tax: what a guest pays for being able to be recorded, and for being recorded. Four ways to run it, measured in turn on
// machines that have all booted and wait, stopped, for their window:
//   plain    QEMU without the plugin
//   dormant  with the plugin, doing nothing
//   armed    the same machine, recording to a reader that throws away
//   icount   QEMU without the plugin, under -icount alone, at the shift that arming chose
//
// Speed is the workload's own count of work per second of this machine's clock (recording may slow the guest's clock, which
// is why the guest's is no yardstick). An idle guest does no work: there it is QEMU's CPU time per second.
// The ratios are made within one round, whose windows are seconds apart, so that a slow minute of the host hits all of them.
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TracerClient, chooseShift, findTracer } from '../src/machine/index.js';
import { ConsoleWatch } from './console.js';
import { figure, type Figure } from './figure.js';
import { Qemu, type Workload } from './guest.js';
import { LogMeter, type LogRate } from './log-meter.js';
import { measurePauses, type PauseFigures } from './pauses.js';

export interface TaxOptions {
  readonly workload: Workload;
  readonly memory: string;
  /** Sets of freshly started machines: what a process was lucky with at its start must not decide. */
  readonly sets: number;
  /** Rounds of the four windows in each set. */
  readonly rounds: number;
  readonly windowMs: number;
  /** How often the machine is armed and disarmed for the pauses. */
  readonly flips: number;
}

export const WAYS = ['plain', 'dormant', 'armed', 'icount'] as const;
export type Way = (typeof WAYS)[number];

export interface TaxRow {
  readonly workload: Workload;
  /** What the speeds count. For `cpu ms/s` less is better. */
  readonly unit: 'work/s' | 'cpu ms/s';
  readonly windows: number;
  readonly windowMs: number;
  readonly speed: Readonly<Record<Way, Figure | null>>;
  /** The share of the second's speed that the first lost (of an idle guest: of a core that it used more), window against window. */
  readonly tax: TaxFigures;
  /** The same of work per second of CPU time that QEMU got: what neighbours on the host took is not in it. */
  readonly taxOfCpu: TaxFigures;
  /** The icount shifts that arming chose. */
  readonly shift: Figure | null;
  readonly log: LogRate;
  readonly pauses: PauseFigures;
}

export interface TaxFigures {
  readonly dormantToPlain: Figure | null;
  readonly armedToPlain: Figure | null;
  readonly armedToIcount: Figure | null;
  readonly icountToPlain: Figure | null;
}

/** One window. For an idle guest both are its CPU time, in ms per second. */
interface Speed {
  readonly wall: number;
  readonly cpu: number;
}

type Round = Readonly<Record<Way, Speed>>;

const settleMs = 500;

/** Measures one workload. @throws when a machine does not start or the guest finds its data wrong */
export async function measureTax(options: TaxOptions): Promise<TaxRow> {
  const rounds: Round[] = [];
  const shifts: number[] = [];
  const log = new LogMeter();
  let pauses: PauseFigures | null = null;
  for (let index = 0; index < options.sets; index++) {
    const set = await MachineSet.start(options, log);
    try {
      for (let round = 0; round < options.rounds; round++) rounds.push(await set.round(round));
      shifts.push(set.shift);
      if (index === options.sets - 1) pauses = await set.pauses(options.flips);
    } finally {
      await set.close();
    }
  }
  const idle = options.workload === 'idle';
  const speed = (way: Way): Figure | null => figure(rounds.map((round) => round[way].wall));
  return {
    workload: options.workload,
    unit: idle ? 'cpu ms/s' : 'work/s',
    windows: rounds.length,
    windowMs: options.windowMs,
    speed: { plain: speed('plain'), dormant: speed('dormant'), armed: speed('armed'), icount: speed('icount') },
    tax: taxFigures(rounds, idle, ({ wall }) => wall),
    taxOfCpu: taxFigures(rounds, idle, ({ cpu }) => cpu),
    shift: figure(shifts),
    log: log.rate(),
    pauses: pauses!,
  };
}

function taxFigures(rounds: readonly Round[], idle: boolean, of: (speed: Speed) => number): TaxFigures {
  // Of an idle guest's few ms of CPU a second any ratio is noise: what counts is the share of a core.
  const lost = (speed: number, reference: number): number =>
    idle ? (speed - reference) / 1000 : 1 - speed / reference;
  const ratio = (way: Way, to: Way): Figure | null =>
    figure(rounds.map((round) => lost(of(round[way]), of(round[to]))));
  return {
    dormantToPlain: ratio('dormant', 'plain'),
    armedToPlain: ratio('armed', 'plain'),
    armedToIcount: ratio('armed', 'icount'),
    icountToPlain: ratio('icount', 'plain'),
  };
}

interface Watched {
  readonly qemu: Qemu;
  readonly watch: ConsoleWatch;
}

/** The machines of one set; all but the one being measured are stopped, and their guests' clocks with them. */
class MachineSet {
  private constructor(
    private readonly options: TaxOptions,
    private readonly log: LogMeter,
    private readonly folder: string,
    private readonly machines: { plain: Watched; traced: Watched; icount: Watched },
    private readonly tracer: TracerClient,
    readonly shift: number,
  ) {}

  static async start(options: TaxOptions, log: LogMeter): Promise<MachineSet> {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'trmig-tax-'));
    const started: Watched[] = [];
    const start = async (name: string, tracer: string | null, extra: readonly string[]): Promise<Watched> => {
      const { workload, memory } = options;
      const qemu = await Qemu.start({ folder: path.join(folder, name), workload, memory, tracer, extra });
      const machine = { qemu, watch: new ConsoleWatch(qemu.paths.consoleLog, workload) };
      started.push(machine);
      await machine.watch.waitFor(3, 120_000);
      return machine;
    };
    try {
      const traced = await start('t', await findTracer(), []);
      const tracer = await TracerClient.connect(traced.qemu.paths.tracerSocket);
      const shift = chooseShift(await tracer.probe(200));
      await traced.qemu.qmp.execute('stop');
      const plain = await start('p', null, []);
      await plain.qemu.qmp.execute('stop');
      const icount = await start('i', null, ['-icount', `shift=${shift}`]);
      await icount.qemu.qmp.execute('stop');
      return new MachineSet(options, log, folder, { plain, traced, icount }, tracer, shift);
    } catch (error) {
      await closeAll(started, folder);
      throw error;
    }
  }

  /** One window of each way. Every other round goes backwards, so that no way always comes first. */
  async round(index: number): Promise<Round> {
    const speeds: Partial<Record<Way, Speed>> = {};
    for (const way of index % 2 === 0 ? WAYS : [...WAYS].reverse()) speeds[way] = await this.window(way);
    return speeds as Round;
  }

  async pauses(flips: number): Promise<PauseFigures> {
    const { qemu } = this.machines.traced;
    await qemu.qmp.execute('cont');
    return measurePauses(this.tracer, this.shift, flips);
  }

  async close(): Promise<void> {
    this.tracer.close();
    await closeAll(Object.values(this.machines), this.folder);
  }

  private async window(way: Way): Promise<Speed> {
    const machine = way === 'plain' || way === 'icount' ? this.machines[way] : this.machines.traced;
    await machine.qemu.qmp.execute('cont');
    const recording = way === 'armed' ? await this.log.record(this.tracer, this.shift) : null;
    await sleep(settleMs);
    const speed = await this.speed(machine);
    await recording?.end();
    await machine.qemu.qmp.execute('stop');
    return speed;
  }

  private async speed({ qemu, watch }: Watched): Promise<Speed> {
    const fromMs = performance.now();
    const fromNs = await qemu.cpuNs();
    await sleep(this.options.windowMs);
    const toMs = performance.now();
    const cpuShare = ((await qemu.cpuNs()) - fromNs) / 1e6 / (toMs - fromMs);
    if (watch.workload === 'idle') return { wall: cpuShare * 1000, cpu: cpuShare * 1000 };
    const wall = watch.rate(fromMs, toMs) ?? NaN;
    return { wall, cpu: wall / cpuShare };
  }
}

async function closeAll(machines: readonly Watched[], folder: string): Promise<void> {
  await Promise.all(machines.map(async ({ qemu, watch }) => Promise.all([watch.close(), qemu.quit()])));
  await rm(folder, { recursive: true, force: true });
}
