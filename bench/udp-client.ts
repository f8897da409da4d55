// A client of the guest's echo server over UDP: sends a small numbered datagram at a steady pace and notes when answers come.
// Nothing is sent again, so the longest silence is how long the guest could not be reached, and nothing else.
//
//   node build/bench/udp-client.js HOST PORT [INTERVAL_MS]     until stdin closes; prints one line of JSON then
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { z } from 'zod';
import { silence } from './beats.js';
import { ClientProcess } from './client-process.js';
import type { Host } from './hosts.js';

const reportSchema = z.object({
  sent: z.number(),
  received: z.number(),
  /** The longest time without an answer, less the usual one, ms; null when there were none. */
  silenceMs: z.number().nullable(),
});
export type UdpReport = z.infer<typeof reportSchema>;

/** The client as a process on a host, until it is asked what it saw. @throws when the guest does not answer */
export async function connectUdp(host: Host, address: string, port: number): Promise<ClientProcess<UdpReport>> {
  return ClientProcess.connect(host, import.meta.url, reportSchema, [address, port]);
}

const messageBytes = 8;
const firstAnswerMs = 5_000;
const lastAnswersMs = 500;

async function main(host: string, port: number, intervalMs: number): Promise<void> {
  const answersAtMs: number[] = [];
  let sent = 0;
  const socket = createSocket('udp4');
  socket.connect(port, host);
  await once(socket, 'connect');
  socket.on('message', () => answersAtMs.push(performance.now()));
  // Refused: the guest is between two hosts, or its switch has not learnt yet where it is. That is what is measured.
  socket.on('error', () => undefined);
  const ticking = setInterval(() => {
    const message = Buffer.alloc(messageBytes);
    message.writeBigUInt64LE(BigInt(sent++));
    socket.send(message);
  }, intervalMs);
  await once(socket, 'message', { signal: AbortSignal.timeout(firstAnswerMs) });
  process.stdout.write('connected\n');
  process.stdin.resume();
  await once(process.stdin, 'end');
  clearInterval(ticking);
  await new Promise((resolve) => setTimeout(resolve, lastAnswersMs));
  const report: UdpReport = { sent, received: answersAtMs.length, silenceMs: silence(answersAtMs) };
  process.stdout.write(`${JSON.stringify(report)}\n`);
  process.exit(0);
}

if (process.argv[1]?.endsWith('udp-client.js') === true) {
  const [host, port, intervalMs = '5'] = process.argv.slice(2);
  await main(host!, Number(port), Number(intervalMs));
}
