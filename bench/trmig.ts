// trmig's own migration between the two hosts, by its command line, as a person would run it, with its defaults: at most 50 ms
// of predicted downtime.
//
// `commands` is the one place that knows how the command line is spelt.
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { Cli, exchangeKeys, listening } from './cli.js';
import { guestNic, guestSpec, makeDisk, type Workload } from './guest.js';
import { addTap, type HostPair } from './hosts.js';
import { patienceMs, type Outcome } from './outcome.js';
import { Sight } from './sight.js';

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
  bytes: z.object({ base: z.number(), disk: z.number(), total: z.number() }),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
});

export interface MoveOptions {
  readonly hosts: HostPair;
  readonly workload: Workload;
  readonly memory: string;
  /** An empty folder for this move's files; its path must be short, as sockets lie in it. */
  readonly folder: string;
}

/** Moves one guest from host a to host b. @throws when something broke; a move that does not converge is an outcome */
export async function moveByTrmig(options: MoveOptions): Promise<Outcome> {
  const { hosts, workload, folder } = options;
  const [a, b] = [new Cli(hosts.a, path.join(folder, 'a')), new Cli(hosts.b, path.join(folder, 'b'))];
  await Promise.all([a.prepare(), b.prepare()]);
  await exchangeKeys([a, b]);
  await a.run(commands.run(await writeSpec(options)));
  const sight = new Sight(workload, { source: commands.consoleLog(a.home), destination: commands.consoleLog(b.home) });
  const receiver = b.start(commands.receive(hosts.b.address));
  try {
    await Promise.all([sight.booted(), listening(hosts.b, receiver, port)]);
    await sight.warmUp(hosts);
    return await move(a, sight, hosts, path.join(folder, 'report'));
  } finally {
    await sight.close();
    // On one of the hosts it is not; neither matters to the figures, and both hosts end anyway.
    await Promise.all([a, b].map((cli) => cli.run(commands.stop, { mayFail: true })));
    receiver.kill('SIGTERM');
  }
}

async function writeSpec({ hosts, workload, memory, folder }: MoveOptions): Promise<string> {
  const disk = path.join(folder, 'disk.raw');
  if (workload === 'diskwriter') await makeDisk(disk);
  if (workload === 'echo') await Promise.all([hosts.a, hosts.b].map((host) => addTap(host, guestNic.interface)));
  const spec = guestSpec(name, { workload, memory, beats: true, ...(workload === 'diskwriter' && { disk }) });
  const file = path.join(folder, 'spec.json');
  await writeFile(file, JSON.stringify(spec));
  return file;
}

async function move(cli: Cli, sight: Sight, hosts: HostPair, reportFolder: string): Promise<Outcome> {
  const bytesBefore = await hosts.linkBytes();
  const beganMs = performance.now();
  const running = cli.run(commands.migrate(hosts.b.address, reportFolder), { mayFail: true });
  sight.attend();
  const said = await running;
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
    toolDowntimeMs: converged ? report.downtimeMs : null,
    totalMs: report.totalMs,
    bytes,
    bytesAfterBase: report.bytes.total - report.bytes.base - report.bytes.disk,
    ...(await sight.end({ beganMs, endedMs, arrived: converged })),
  };
}
