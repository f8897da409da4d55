// A running VM as an object. It holds connections, not the VM: closing or losing the object changes nothing for the guest.
// What is true about a machine is asked (of /proc, the tracer, QEMU), never remembered.
import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { TrmigError, asTrmigError } from '../errors.js';
import { qemuStopMsMax } from '../limits.js';
import { writeDisks, type MachineDisk } from './disks-file.js';
import { durable } from './durable.js';
import { Home, type MachinePaths } from './home.js';
import { clearLeftovers, launchQemu } from './launch.js';
import { findQemuProcess, isAlive, readIdentity, signalProcess, type ProcessIdentity } from './process.js';
import { assertProfile } from './profile.js';
import { findQemu } from './qemu.js';
import { QmpClient } from './qmp.js';
import { checkFiles, formatSpec, parseSpec, type MachineSpec } from './spec.js';
import { checkLayerFiles, disksForStart, hasDisks } from './start-disks.js';
import { withStartLock } from './start-lock.js';
import { findTracer } from './tracer-path.js';
import type { TracerStatus } from './tracer-replies.js';
import { TracerClient } from './tracer.js';

/**
 * `running`; `stopped`: ended in order; `dead`: its QEMU is gone without having said so (a crash, a kill, a reboot).
 */
export type MachineState = 'running' | 'stopped' | 'dead';

export interface MachineSummary {
  readonly name: string;
  readonly state: MachineState;
  readonly pid: number | null;
}

export interface MachineStatus extends MachineSummary {
  /** QEMU's run state ("running", "paused", "prelaunch", …); null when its monitor is taken by another command. */
  readonly qemu: string | null;
  /** null without a tracer, or when it does not answer. */
  readonly tracer: TracerStatus | null;
}

export interface StartOptions {
  readonly home?: Home;
  /** Start with the guest stopped: a destination. */
  readonly paused?: boolean;
  /** Its nics lead nowhere: a replay that will not be live. */
  readonly offline?: boolean;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
  /** Instead of this installation's tracer; null starts plain QEMU, which can be neither armed nor moved. */
  readonly tracer?: string | null;
  /**
   * The chains to start with and to write down; when left out, those written down here, or else those of the spec.
   * `topsOnly` opens the top layers alone: `attachLayers` brings in the rest before the guest runs.
   */
  readonly disks?: { readonly chains: readonly MachineDisk[]; readonly topsOnly: boolean };
}

export interface OpenOptions {
  readonly home?: Home;
  readonly signal?: AbortSignal;
  /** false: without a connection to its tracer, which may not answer; enough to end it. */
  readonly tracer?: boolean;
}

export class Machine {
  private constructor(
    readonly spec: MachineSpec,
    readonly paths: MachinePaths,
    readonly process: ProcessIdentity,
    private readonly client: TracerClient | null,
  ) {}

  /**
   * Starts a machine; what a dead one of that name left is cleared away, its logs and ownership journal are kept.
   * @throws E_PROFILE, E_SPEC (files that are missing), E_MACHINE_EXISTS, E_QEMU_*, E_TRACER_*, E_HOME, E_SOCKET_PATH,
   *   E_DISKS, E_LAYER_REFUSED
   */
  static async start(spec: MachineSpec, options: StartOptions = {}): Promise<Machine> {
    const { home = Home.fromEnvironment(), paused = false, offline = false, signal, timeoutMs } = options;
    assertProfile(spec, spec.strategy);
    const paths = home.machine(spec.name);
    // The disks' files are looked at once the layers are known.
    await checkFiles(spec, { disks: options.disks === undefined && !(await hasDisks(paths)) });
    const qemu = await findQemu(spec, { signal });
    const tracer = options.tracer === undefined ? await findTracer() : options.tracer;
    await home.make(home.machines);
    await home.make(paths.folder);
    await withStartLock(paths, async () => {
      const running = await findQemuProcess(paths);
      if (running) {
        const facts = { name: spec.name, pid: running.pid };
        throw new TrmigError('E_MACHINE_EXISTS', `'${spec.name}' runs already, as process ${running.pid}`, { facts });
      }
      const topsOnly = options.disks?.topsOnly ?? false;
      const disks = options.disks?.chains ?? (await disksForStart(paths, spec.disks));
      await checkLayerFiles(disks, topsOnly);
      if (disks.length > 0 && options.disks) await writeDisks(paths, disks);
      await durable(paths.spec, formatSpec(spec));
      await launchQemu({ spec, paths, qemu, tracer, paused, offline, disks, topsOnly, signal, timeoutMs });
    });
    return Machine.open(spec.name, { home, ...(signal && { signal }) });
  }

  /**
   * Connects to a machine that runs.
   * @throws E_MACHINE_UNKNOWN, E_MACHINE_DEAD, E_TRACER_CONNECT
   */
  static async open(name: string, options: OpenOptions = {}): Promise<Machine> {
    const { home = Home.fromEnvironment(), signal, tracer: wanted = true } = options;
    const paths = home.machine(name);
    const spec = await readSpec(paths);
    const running = await findQemuProcess(paths);
    if (!running) {
      const state = (await readIdentity(paths.process)) ? 'its QEMU is gone' : 'it was stopped';
      throw new TrmigError('E_MACHINE_DEAD', `'${name}' does not run: ${state}`, {
        facts: { name, log: paths.qemuLog },
      });
    }
    const connects = wanted && (await hasTracer(running));
    const tracer = connects ? await TracerClient.connect(paths.tracerSocket, { signal }) : null;
    return new Machine(spec, paths, running, tracer);
  }

  /** Every machine that this home knows, running or not, by name. */
  static async list(options: { home?: Home } = {}): Promise<MachineSummary[]> {
    const { home = Home.fromEnvironment() } = options;
    const summaries = (await home.machineNames()).map((name) => summarize(home.machine(name)));
    return Promise.all(summaries);
  }

  /** Forgets a machine that does not run: its folder, with logs and journal. @throws E_MACHINE_EXISTS, E_MACHINE_UNKNOWN */
  static async remove(name: string, options: { home?: Home } = {}): Promise<void> {
    const { home = Home.fromEnvironment() } = options;
    const paths = home.machine(name);
    await readSpec(paths);
    await withStartLock(paths, async () => {
      if (await findQemuProcess(paths)) {
        throw new TrmigError('E_MACHINE_EXISTS', `'${name}' runs: it is not removed`, { facts: { name } });
      }
      await rm(paths.folder, { recursive: true, force: true });
    });
  }

  get name(): string {
    return this.paths.name;
  }

  /** The tracer's client, connected. @throws E_TRACER_CONNECT for a machine started or opened without one */
  get tracer(): TracerClient {
    if (this.client) return this.client;
    throw new TrmigError('E_TRACER_CONNECT', `'${this.name}' was started without the tracer`, {
      hint: 'Stop it and start it with trmig.',
      facts: { name: this.name },
    });
  }

  /** What the guest wrote to its serial console, since the machine was first started under this name. */
  get consoleLog(): string {
    return this.paths.consoleLog;
  }

  /** Opens QEMU's monitor. It serves one client at a time: close it soon, or use `withQmp`. @throws E_QMP_* */
  openQmp(options: { signal?: AbortSignal; timeoutMs?: number } = {}): Promise<QmpClient> {
    return QmpClient.connect(this.paths.qmpSocket, options);
  }

  /** Opens the monitor for the length of `work`. @throws E_QMP_*, and what `work` throws */
  async withQmp<T>(work: (qmp: QmpClient) => Promise<T>, options: { signal?: AbortSignal } = {}): Promise<T> {
    const qmp = await this.openQmp(options);
    try {
      return await work(qmp);
    } finally {
      qmp.close();
    }
  }

  /** Whether this very QEMU still runs. */
  isAlive(): Promise<boolean> {
    return isAlive(this.process);
  }

  /** The machine as it is now. A part that does not answer is null; this never throws for a dead machine. */
  async status(options: { signal?: AbortSignal } = {}): Promise<MachineStatus> {
    const summary = await summarize(this.paths);
    if (!(await this.isAlive())) {
      // A successor of that name is another object's machine.
      const state = summary.state === 'running' ? 'dead' : summary.state;
      return { name: this.name, state, pid: null, qemu: null, tracer: null };
    }
    const { signal } = options;
    const [tracer, qemu] = await Promise.all([
      this.client ? unlessAborted(this.client.status({ signal, timeoutMs: 5_000 })) : null,
      unlessAborted(this.queryStatus(signal)),
    ]);
    return { ...summary, qemu, tracer };
  }

  /**
   * Ends QEMU. Graceful: `quit`, so that it flushes its disks, then a kill if it does not end; else a kill at once.
   * The guest is not asked in either case. Returns when the process is gone.
   */
  async stop(options: { graceful?: boolean; signal?: AbortSignal; timeoutMs?: number } = {}): Promise<void> {
    const { graceful = true, signal, timeoutMs = qemuStopMsMax } = options;
    if (graceful && (await this.isAlive())) {
      // Should the monitor be taken: QEMU quits in order on SIGTERM as well.
      await this.quit(signal).catch((cause: unknown) => {
        const { code } = asTrmigError(cause);
        if (code === 'E_ABORTED') throw cause;
        return code === 'E_QMP_CLOSED' ? false : signalProcess(this.process, 'SIGTERM');
      });
      if (await this.gone(timeoutMs, signal)) return this.cleared();
    }
    await signalProcess(this.process, 'SIGKILL');
    if (await this.gone(qemuStopMsMax, signal)) return this.cleared();
    throw new TrmigError('E_MACHINE_STOP', `'${this.name}' (process ${this.process.pid}) survives SIGKILL`, {
      facts: { name: this.name, pid: this.process.pid },
    });
  }

  /** Closes the connections. The machine runs on. */
  close(): void {
    this.client?.close();
  }

  private async quit(signal: AbortSignal | undefined): Promise<void> {
    const qmp = await this.openQmp({ timeoutMs: 1_000, ...(signal && { signal }) });
    try {
      // Alive with the connection made: so it is this QEMU that the socket belongs to, not a successor of that name.
      if (await this.isAlive()) await qmp.execute('quit', undefined, { signal });
    } finally {
      qmp.close();
    }
  }

  private async queryStatus(signal: AbortSignal | undefined): Promise<string> {
    const qmp = await this.openQmp({ timeoutMs: 500, ...(signal && { signal }) });
    try {
      return (await qmp.status({ signal, timeoutMs: 2_000 })).status;
    } finally {
      qmp.close();
    }
  }

  private async gone(timeoutMs: number, signal: AbortSignal | undefined): Promise<boolean> {
    for (const until = performance.now() + timeoutMs; await this.isAlive();) {
      if (signal?.aborted) throw new TrmigError('E_ABORTED', `stopping '${this.name}' was cancelled`);
      if (performance.now() > until) return false;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return true;
  }

  private async cleared(): Promise<void> {
    this.close();
    // A machine of that name may have been started again in the meantime: then the files are its.
    if (!(await findQemuProcess(this.paths))) await clearLeftovers(this.paths);
  }
}

async function summarize(paths: MachinePaths): Promise<MachineSummary> {
  const { name } = paths;
  const running = await findQemuProcess(paths);
  if (running) return { name, state: 'running', pid: running.pid };
  // A QEMU that ends in order takes its pid file along, also when the guest has powered itself off.
  const dead = (await readIdentity(paths.process)) !== null && existsSync(paths.pid);
  return { name, state: dead ? 'dead' : 'stopped', pid: null };
}

async function readSpec(paths: MachinePaths): Promise<MachineSpec> {
  let text: string;
  try {
    text = await readFile(paths.spec, 'utf8');
  } catch (cause) {
    throw new TrmigError('E_MACHINE_UNKNOWN', `there is no machine '${paths.name}' here`, {
      cause,
      facts: { name: paths.name, folder: paths.folder },
    });
  }
  return parseSpec(text, { base: paths.folder, source: paths.spec });
}

/** Asked of the running process: the spec does not say it, and a file could be stale. */
async function hasTracer(identity: ProcessIdentity): Promise<boolean> {
  const argv = (await readFile(`/proc/${identity.pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
  return argv.includes('-plugin');
}

async function unlessAborted<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked;
  } catch (cause) {
    if (asTrmigError(cause).code === 'E_ABORTED') throw cause;
    return null;
  }
}
