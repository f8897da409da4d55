// trmig's own migration between the two hosts, by its command line, as a person would run it.
//
// `commands` is the one place that knows how the command line is spelt.
import type { ChildProcess } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { Cli, listening } from './cli.js';
import { ConsoleWatch } from './console.js';
import { guestSpec, type Workload } from './guest.js';
import type { HostPair } from './hosts.js';
import { patienceMs, warmUpMs, type Outcome } from './outcome.js';
import { slowdown } from './qemu.js';

const name = 'guest';
const port = 7700;

const commands = {
  run: (specFile: string) => ['run', specFile],
  receive: (address: string) => ['receive', '--listen', `${address}:${port}`],
  migrate: (address: string, reportFolder: string) => [
    ...['migrate', name, `${address}:${port}`, '--report-dir', reportFolder],
    ...['--timeout', `${patienceMs / 1000}s`, '--on-timeout', 'abort'],
  ],
  stop: ['stop', name],
  consoleLog: (home: string) => path.join(home, 'machines', name, 'console.log'),
} as const;

/** What the benchmark reads of a report. */
const reportSchema = z.object({
  outcome: z.enum(['completed', 'aborted', 'failed']),
  downtimeMs: z.number().nullable(),
  totalMs: z.number(),
  bytes: z.object({ base: z.number(), total: z.number() }),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
});

export interface TrmigRun {
  readonly hosts: HostPair;
  readonly workload: Workload;
  readonly memory: string;
  /** An empty folder for this run's files; its path must be short, as sockets lie in it. */
  readonly folder: string;
}

/** Moves one guest from host a to host b. @throws when something broke; a move that does not converge is an outcome */
export async function moveByTrmig(run: TrmigRun): Promise<Outcome> {
  const { hosts, workload, memory, folder } = run;
  const [a, b] = [new Cli(hosts.a, path.join(folder, 'a')), new Cli(hosts.b, path.join(folder, 'b'))];
  await Promise.all([a.prepare(), b.prepare()]);
  const specFile = path.join(folder, 'spec.json');
  await writeFile(specFile, JSON.stringify(guestSpec(name, workload, memory)));
  await a.run(commands.run(specFile));
  const watch = new ConsoleWatch(commands.consoleLog(a.home), workload);
  const receiver = b.start(commands.receive(hosts.b.address));
  try {
    await Promise.all([watch.waitFor(1, 60_000), listening(hosts.b, receiver, port)]);
    await sleep(warmUpMs);
    return await move(a, watch, hosts, path.join(folder, 'report'));
  } finally {
    await watch.close();
    await stopAll(a, b, receiver);
  }
}

async function move(cli: Cli, watch: ConsoleWatch, hosts: HostPair, reportFolder: string): Promise<Outcome> {
  const bytesBefore = await hosts.linkBytes();
  const beganMs = performance.now();
  const said = await cli.run(commands.migrate(hosts.b.address, reportFolder), { mayFail: true });
  const endedMs = performance.now();
  const bytes = (await hosts.linkBytes()) - bytesBefore;
  const text = await readFile(path.join(reportFolder, 'report.json'), 'utf8').catch(() => {
    throw new Error(`trmig migrate left no report: ${said.trim().slice(-2000)}`);
  });
  const report = reportSchema.parse(JSON.parse(text));
  const converged = report.outcome === 'completed';
  if (!converged && report.error?.code !== 'E_NOT_CONVERGED') {
    throw new Error(`trmig migrate: ${report.error?.code ?? report.outcome}: ${report.error?.message ?? ''}`);
  }
  return {
    converged,
    downtimeMs: converged ? report.downtimeMs : null,
    totalMs: report.totalMs,
    bytes,
    bytesAfterBase: report.bytes.total - report.bytes.base,
    slowdown: slowdown(watch, beganMs, endedMs),
  };
}

async function stopAll(a: Cli, b: Cli, receiver: ChildProcess): Promise<void> {
  // On one of the hosts it is not; neither matters to the figures, and both hosts end anyway.
  await Promise.all([a, b].map((cli) => cli.run(commands.stop, { mayFail: true })));
  receiver.kill('SIGTERM');
}
