// Sends datagrams to a guest's echo server, a few at a time and at odd moments, until it is killed.
//
//   node build/test/system/udp-burst-process.js HOST PORT
import { createSocket } from 'node:dgram';
import { setTimeout as sleep } from 'node:timers/promises';

const [, , host = '', port = ''] = process.argv;
const socket = createSocket('udp4');
socket.on('error', () => undefined);
for (;;) {
  const count = 1 + Math.floor(Math.random() * 6);
  for (let i = 0; i < count; i++) socket.send(Buffer.alloc(64), Number(port), host);
  await sleep(Math.random() * 4);
}
