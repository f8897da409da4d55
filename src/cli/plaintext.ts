// Whether the link between hosts is encrypted, as `migrate`, `ship` and `receive` are told.
import { Flags } from '@oclif/core';

/** true: plain; false: encrypted; left out: by the other end's address. */
export const plaintextFlag = Flags.boolean({
  summary: 'Do not encrypt the link: only on networks that you trust, and on both sides. Loopback is plain anyway.',
  allowNo: true,
});
