// A client of the guest's echo server: sends a small numbered message at a steady pace over one TCP connection and measures
// how long each takes to come back. Its longest round trip is what a user of the guest sees of a migration.
//
//   node build/bench/tcp-client.js HOST PORT [INTERVAL_MS]     until stdin closes; prints one line of JSON then
import net from 'node:net';
import { z } from 'zod';
import { ClientProcess } from './client-process.js';
import type { Host } from './hosts.js';

const reportSchema = z.object({
  sent: z.number(),
  received: z.number(),
  /** Round trips, ms. */
  medianMs: z.number(),
  p99Ms: z.number(),
  longestMs: z.number(),
  /** What ended the connection before its time; null for nothing. */
  error: z.string().nullable(),
});
export type ClientReport = z.infer<typeof reportSchema>;

/** The client as a process on a host, connected to a guest until it is asked what it saw. */
export class TcpClient {
  private constructor(private readonly process: ClientProcess<ClientReport>) {}

  /** @throws when there is no connection; why not is on stderr by then */
  static async connect(host: Host, address: string, port: number): Promise<TcpClient> {
    return new TcpClient(await ClientProcess.connect(host, import.meta.url, reportSchema, [address, port]));
  }

  /** Waits for the last answers and hangs up. */
  async end(): Promise<ClientReport> {
    return this.process.end();
  }
}

const messageBytes = 8;
/** The longest that TCP waits before it sends again what was lost while the guest was away (Linux's TCP_RTO_MAX). */
const lastAnswersMs = 120_000;

async function main(host: string, port: number, intervalMs: number): Promise<void> {
  const sentAtMs: number[] = [];
  const tripsMs: number[] = [];
  const problems: string[] = [];
  let pending = Buffer.alloc(0);
  const socket = net.connect({ host, port, noDelay: true });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  socket.on('error', ({ message }) => problems.push(message));
  socket.on('close', () => problems.push('the guest closed the connection'));
  socket.on('data', (data) => {
    pending = Buffer.concat([pending, data]);
    for (; pending.length >= messageBytes; pending = pending.subarray(messageBytes)) {
      const number = Number(pending.readBigUInt64LE(0));
      if (number !== tripsMs.length) problems.push(`message ${number} came back when ${tripsMs.length} was due`);
      tripsMs.push(performance.now() - (sentAtMs[number] ?? NaN));
    }
  });
  const ticking = setInterval(() => {
    const message = Buffer.alloc(messageBytes);
    message.writeBigUInt64LE(BigInt(sentAtMs.length));
    sentAtMs.push(performance.now());
    socket.write(message);
  }, intervalMs);
  process.stdout.write('connected\n');
  process.stdin.resume();
  await new Promise((resolve) => process.stdin.once('end', resolve));
  clearInterval(ticking);
  const until = performance.now() + lastAnswersMs;
  while (tripsMs.length < sentAtMs.length && problems.length === 0 && performance.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const sorted = [...tripsMs].sort((x, y) => x - y);
  const report: ClientReport = {
    sent: sentAtMs.length,
    received: tripsMs.length,
    medianMs: sorted[sorted.length >> 1] ?? NaN,
    p99Ms: sorted[Math.floor(sorted.length * 0.99)] ?? NaN,
    longestMs: sorted.at(-1) ?? NaN,
    error: problems[0] ?? null,
  };
  process.stdout.write(`${JSON.stringify(report)}\n`);
  process.exit(0);
}

if (process.argv[1]?.endsWith('tcp-client.js') === true) {
  const [host, port, intervalMs = '5'] = process.argv.slice(2);
  await main(host!, Number(port), Number(intervalMs));
}
