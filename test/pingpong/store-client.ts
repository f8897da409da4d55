// A client of the guest's `store`: sends a number of 8 bytes at a steady pace over one TCP connection, for as long as its
// standard input is open. What comes back was on the guest's disk; at the end the store says all that is on it, and every number
// that was ever answered must be there. Says on standard output, a line of JSON each: now and then how far it is, and at the end
// what it found.
//
//   node build/test/pingpong/store-client.js HOST PORT
import net from 'node:net';
import { say } from '../faults/holding.js';

const [host = '', port = ''] = process.argv.slice(2);
const numberBytes = 8;
const intervalMs = 25;
const reportMs = 250;
/** The longest that TCP waits before it sends again what was lost while the guest was away (Linux's TCP_RTO_MAX), and more. */
const lastAnswersMs = 150_000;

const sentAtMs: number[] = [];
const problems: string[] = [];
let answered = 0;
let longestMs = 0;
let stored = 0;
let isReadBack = false;

const socket = net.connect({ host, port: Number(port), noDelay: true, allowHalfOpen: true });
await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
socket.on('error', ({ message }) => problems.push(message));
socket.on('end', () => (isReadBack = true));

/** The answers come in order, and after them, once this half of the connection has ended, the same numbers from the disk. */
function take(number: number): void {
  if (socket.writableEnded && answered === sentAtMs.length) {
    if (number !== stored++) problems.push(`the store has ${number} where ${stored - 1} was stored`);
    return;
  }
  if (number !== answered) problems.push(`${number} was answered when ${answered} was due`);
  longestMs = Math.max(longestMs, performance.now() - (sentAtMs[answered++] ?? NaN));
}

let pending = Buffer.alloc(0);
socket.on('data', (data) => {
  pending = Buffer.concat([pending, data]);
  for (; pending.length >= numberBytes; pending = pending.subarray(numberBytes)) {
    take(Number(pending.readBigUInt64LE(0)));
  }
});

const report = (): void => say({ sent: sentAtMs.length, answered, problem: problems[0] ?? null });
say({ connected: true });
const reporting = setInterval(report, reportMs);
const sending = setInterval(() => {
  const number = Buffer.alloc(numberBytes);
  number.writeBigUInt64LE(BigInt(sentAtMs.length));
  sentAtMs.push(performance.now());
  socket.write(number);
}, intervalMs);
process.stdin.resume();
await new Promise((resolve) => process.stdin.once('end', resolve));
clearInterval(sending);
const untilMs = performance.now() + lastAnswersMs;
const comes = async (holds: () => boolean): Promise<void> => {
  while (!holds() && problems.length === 0 && performance.now() < untilMs) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
};
await comes(() => answered === sentAtMs.length);
socket.end();
await comes(() => isReadBack);
clearInterval(reporting);
say({ result: { sent: sentAtMs.length, answered, stored, longestMs, problem: problems[0] ?? null } });
process.exit(0);
