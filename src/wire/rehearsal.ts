// The handover's frames cross once, while the guest stands still, and JavaScript that runs for the first time is slow: what they
// need is run a few times before.

import type { SessionFrame } from './frames.js';
import { FrameParser, encodeFrame, protocolVersionMax } from './parser.js';

const samples: readonly SessionFrame[] = [
  { kind: 'ready', icount: 1, registers: '01', devices: '01', virtualNs: 1, tailNs: 1, digestNs: 1 },
  { kind: 'commit', migrationId: '0', epoch: 1 },
  { kind: 'live', virtualNs: 1, journalNs: 1, flipNs: 1, startNs: 1, totalNs: 1 },
];
const rounds = 3;

/** Encodes and parses the handover's frames, to nobody. Takes a few ms. */
export function rehearseHandover(): void {
  const parser = new FrameParser();
  parser.version = protocolVersionMax;
  for (let round = 0; round < rounds; round++) {
    for (const frame of samples) {
      const { head, payload } = encodeFrame(frame, { short: true });
      for (const part of [head, payload]) if (part !== null) for (const _ of parser.push(part));
    }
  }
}
