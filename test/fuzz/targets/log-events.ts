// QEMU's replay bytes: whatever the scanner takes is decoded, printed and counted alike by both scanners, and sealed
// segments of it survive their encodings.
import { decodeEvents } from '../../../src/log/decoder.js';
import { formatEvent } from '../../../src/log/format-event.js';
import { decodeFromDisk, encodeForDisk } from '../../../src/log/codec.js';
import { scanPayload } from '../../../src/log/scan.js';
import { sealSegment } from '../../../src/log/segment.js';
import { icount } from '../../../src/units.js';
import { Random, randomPayload } from '../../log/support.js';
import { attempt, must, type Target } from '../target.js';

export const target: Target = {
  seeds: () => Array.from({ length: 20 }, (_, seed) => randomPayload(new Random(seed), 1 + seed)),
  run: (bytes) => {
    let decoded = 0;
    attempt(() => {
      for (const event of decodeEvents(bytes, icount(0))) {
        formatEvent(event);
        decoded += 1;
      }
    });
    const scan = attempt(() => scanPayload(bytes));
    if (scan === undefined) return;
    must(scan.events === decoded, `${scan.events} events were scanned, ${decoded} decoded`);
    const segment = sealSegment({ seq: 3, from: icount(1000), payload: bytes, virtualNs: 5, hostNs: 6 });
    const { header, bytes: stored } = encodeForDisk(segment);
    must(decodeFromDisk(header, stored).payload.equals(bytes), 'a segment changes in the columnar encoding');
  },
};
