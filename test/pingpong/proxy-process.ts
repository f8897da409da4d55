// The link that a test can spoil, on a host of its own between the two: `node proxy-process.js HOST PORT`. Says its port; does
// what it is told on standard input, and ends with it: cut, stall, release, flip source, flip destination.
import { createInterface } from 'node:readline';
import { say } from '../faults/holding.js';
import { Proxy } from '../faults/proxy.js';

const [host = '', port = ''] = process.argv.slice(2);
const proxy = await Proxy.to(Number(port), host, '0.0.0.0');
say({ port: proxy.port });
for await (const line of createInterface(process.stdin)) {
  if (line === 'cut') proxy.cut();
  else if (line === 'stall') proxy.stall();
  else if (line === 'release') proxy.release();
  else proxy.flipTo(line === 'flip source' ? 'source' : 'destination');
}
process.exit(0);
