// A guest's RAM streams through both trmigs: neither holds much of it at any time.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { receiverProcess, senderProcess } from './child.js';
import { waitForLines } from './console.js';
import { boot, generously, stage } from './stage.js';

t.setTimeout(generously.timeout * 2);
const mib = 1024 * 1024;
const residentBytesMax = 300 * mib;

/** Both hosts are this one: two guests, their frozen image, and some air. */
const availableMib = Number(/^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1] ?? 0) / 1024;
const skip =
  generously.skip || (availableMib < 6500 ? `${availableMib.toFixed(0)} MiB of memory are too little` : false);

t.test('a guest of 2 GiB moves with little memory on either side', { ...generously, skip }, async (t) => {
  const { a, b } = stage(t);
  // Most of its memory is written, and with what does not compress.
  (await boot(a, { workload: 'hotset', memory: '2G', hotsetMib: 1200 })).close();
  const taking = await receiverProcess(t, b);
  const sender = senderProcess(t, a, taking.port, 1000);
  const { result, peakKib } = await sender.says('result');
  t.equal(result, 'retired');
  await taking.says('result', 'live');
  const peaks = { sender: Number(peakKib) * 1024, receiver: taking.peakBytes };
  t.comment(
    `at most resident: ${(peaks.sender / mib).toFixed(0)} MiB sending, ${(peaks.receiver / mib).toFixed(0)} MiB receiving`,
  );
  t.ok(peaks.sender < residentBytesMax, `the sender's ${peaks.sender} bytes`);
  t.ok(peaks.receiver < residentBytesMax, `the receiver's ${peaks.receiver} bytes`);
  await waitForLines(b.machine('m').consoleLog, 3);
});
