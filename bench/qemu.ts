// QEMU's own live migration between the two hosts: stock QEMU, no plugin, the same guest and accelerator, nothing held back.
import { truncate, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import path from 'node:path';
import { z } from 'zod';
import { diskBytes, guestNic, makeDisk, Qemu, type QemuOptions } from './guest.js';
import { addTap, type HostPair } from './hosts.js';
import { Mirror } from './mirror.js';
import { patienceMs, type Outcome } from './outcome.js';
import { commonParameters, downtimeLimitMs, QEMU_MODES, type QemuMode, type QemuSettings } from './qemu-modes.js';
import { RamAccount } from './ram-account.js';
import { Sight } from './sight.js';
import type { MoveOptions } from './trmig.js';

const migrationSchema = z.object({
  status: z.string().default('none'),
  downtime: z.number().optional(),
  'error-desc': z.string().optional(),
  ram: z.object({ transferred: z.number() }).optional(),
});

const pollMs = 10;
const port = 4444;
const over = ['completed', 'failed', 'cancelled'];

/** Moves one guest from host a to host b. @throws when something broke; a move that does not converge is an outcome */
export async function moveByQemu(options: MoveOptions & { readonly mode: QemuMode }): Promise<Outcome> {
  const { hosts, workload, mode } = options;
  const started: Qemu[] = [];
  const start = async (end: 'a' | 'b', extra: readonly string[]): Promise<Qemu> => {
    const qemu = await Qemu.start({ ...(await equipped(options, end)), extra });
    started.push(qemu);
    return qemu;
  };
  let sight: Sight | null = null;
  try {
    const source = await start('a', []);
    const destination = await start('b', ['-incoming', 'defer']);
    sight = new Sight(workload, { source: source.paths.consoleLog, destination: destination.paths.consoleLog });
    await sight.booted();
    for (const qemu of [source, destination]) await configure(qemu, QEMU_MODES[mode], hosts);
    await destination.qmp.execute('migrate-incoming', { uri: uri(hosts) });
    await sight.warmUp(hosts);
    sight.attend();
    return await new Moving(source, destination, hosts, sight, QEMU_MODES[mode], workload === 'diskwriter').run();
  } finally {
    await sight?.close();
    await Promise.all(started.map((qemu) => qemu.quit()));
  }
}

const uri = (hosts: HostPair): string => `tcp:${hosts.b.address}:${port}`;

/** Makes what the guest needs on one of the hosts. */
async function equipped({ hosts, workload, memory, folder }: MoveOptions, end: 'a' | 'b'): Promise<QemuOptions> {
  const disk = path.join(folder, `${end}.raw`);
  if (workload === 'diskwriter' && end === 'a') await makeDisk(disk);
  if (workload === 'diskwriter' && end === 'b') await writeFile(disk, '').then(() => truncate(disk, diskBytes));
  if (workload === 'echo') await addTap(hosts[end], guestNic.interface);
  const guest = { workload, memory, beats: true, ...(workload === 'diskwriter' && { disk }) };
  return { ...guest, folder: path.join(folder, end), tracer: null, host: hosts[end] };
}

async function configure(qemu: Qemu, settings: QemuSettings, hosts: HostPair): Promise<void> {
  const capabilities = ['events', ...settings.capabilities].map((capability) => ({ capability, state: true }));
  await qemu.qmp.execute('migrate-set-capabilities', { capabilities });
  await qemu.qmp.execute('migrate-set-parameters', { ...commonParameters(hosts.link), ...settings.parameters });
}

/** One migration under way. */
class Moving {
  readonly #beganMs = performance.now();
  readonly #account = new RamAccount(this.#beganMs);
  #mirror: Mirror | null = null;
  #failed: Error | null = null;
  #firstPassEndedMs = Infinity;
  #limitMs = downtimeLimitMs(0);
  /** When QEMU said that it was over. */
  #endedMs: number | null = null;

  constructor(
    private readonly source: Qemu,
    private readonly destination: Qemu,
    private readonly hosts: HostPair,
    private readonly sight: Sight,
    private readonly settings: QemuSettings,
    private readonly hasDisk: boolean,
  ) {}

  async run(): Promise<Outcome> {
    const { hosts, source } = this;
    const bytesBefore = await hosts.linkBytes();
    const unsubscribe = source.qmp.onEvent(({ event, data }) => this.#on(event, data as Record<string, unknown>));
    const arrived = (await this.#copyDisk()) && (await this.#copyRam());
    const endedMs = this.#endedMs ?? performance.now();
    const bytes = (await hosts.linkBytes()) - bytesBefore;
    if (!arrived) await this.#giveUp();
    unsubscribe();
    const { downtime } = await source.qmp.query('query-migrate', migrationSchema);
    return {
      converged: arrived,
      toolDowntimeMs: arrived ? (downtime ?? null) : null,
      totalMs: endedMs - this.#beganMs,
      bytes,
      bytesAfterBase: this.#account.afterFirstPass() + (this.#mirror?.afterReady() ?? 0),
      ...(await this.sight.end({ beganMs: this.#beganMs, endedMs, arrived })),
    };
  }

  async #copyDisk(): Promise<boolean> {
    if (!this.hasDisk) return true;
    // With the pause, the mirror is ended while the guest is stopped.
    const capabilities = [{ capability: 'pause-before-switchover', state: true }];
    await this.source.qmp.execute('migrate-set-capabilities', { capabilities });
    this.#mirror = await Mirror.start(this.source, this.destination, this.hosts.b);
    return this.#mirror.ready(this.#beganMs + patienceMs);
  }

  async #copyRam(): Promise<boolean> {
    await this.source.qmp.execute('migrate', { uri: uri(this.hosts) });
    for (;;) {
      const now = await this.source.qmp.query('query-migrate', migrationSchema);
      this.#account.poll(performance.now(), now.ram?.transferred ?? 0);
      if (this.#failed) throw this.#failed;
      if (now.status === 'failed')
        throw new Error(`QEMU's migration failed: ${now['error-desc'] ?? 'no reason given'}`);
      if (over.includes(now.status)) return now.status === 'completed';
      await this.#allowDowntime();
      // Later there is no way back, nor a need for one.
      if (now.status === 'active' && performance.now() - this.#beganMs > patienceMs) return false;
      await sleep(pollMs);
    }
  }

  async #allowDowntime(): Promise<void> {
    const limitMs = downtimeLimitMs(performance.now() - this.#firstPassEndedMs);
    if (limitMs === this.#limitMs) return;
    this.#limitMs = limitMs;
    await this.source.qmp.execute('migrate-set-parameters', { 'downtime-limit': limitMs });
  }

  #on(event: string, data: Record<string, unknown>): void {
    const act = (what: Promise<unknown>): void => {
      what.catch((error: unknown) => (this.#failed = error as Error));
    };
    // Said at the beginning of a pass: that of the second one is the first one's end.
    if (event === 'MIGRATION_PASS' && data['pass'] === 2) {
      this.#firstPassEndedMs = performance.now();
      this.#account.firstPassEnded(this.#firstPassEndedMs);
      if (this.settings.switchesAfterFirstPass) act(this.source.qmp.execute('migrate-start-postcopy'));
    }
    if (event !== 'MIGRATION') return;
    if (data['status'] === 'completed') this.#endedMs = performance.now();
    if (data['status'] === 'pre-switchover') act(this.#switchOver());
  }

  async #switchOver(): Promise<void> {
    await this.#mirror!.finish();
    await this.source.qmp.execute('migrate-continue', { state: 'pre-switchover' });
  }

  /** The guest goes on where it is. Nobody waits until QEMU has cancelled, which with multifd it may never have. */
  async #giveUp(): Promise<void> {
    await this.#mirror?.abort();
    await this.source.qmp.execute('migrate_cancel');
  }
}
