// What `migrate`, `ship` and `receive` are told of the link between hosts.
import { Flags } from '@oclif/core';

/** true: plain; false: encrypted; left out: by the other end's address. */
export const plaintextFlag = Flags.boolean({
  summary: 'Do not encrypt the link: only on networks that you trust, and on both sides. Loopback is plain anyway.',
  allowNo: true,
});

export const reconnectFlag = Flags.string({
  summary:
    'Make a connection that is lost again for so long, such as 30s or 5m, and go on where it stopped; 0s: give up at once. While the ' +
    'guest stands still at the handover, half a second at most.',
  helpValue: 'DURATION',
  default: '30s',
});

export const bandwidthFlag = Flags.string({
  summary:
    'The most that the link may take of the network, such as 100mbit or 12MB/s; control messages are not held up.',
  helpValue: 'RATE',
});
