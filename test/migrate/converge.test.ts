// The loop between the base image and the handover, with both ends made up.
import t from 'tap';
import type { TracerClient } from '../../src/machine/index.js';
import { converge } from '../../src/migrate/converge.js';
import type { SourceMetrics } from '../../src/migrate/metrics.js';
import type { SessionJournal } from '../../src/migrate/session-journal.js';

const fixedMs = { stopMs: 0, digestMs: 0, journalMs: 0, liveMs: 0 };
/** Nothing is left to replay. */
const sample = {
  ...{ atMs: 5000, baseMs: 1000, sourceIcount: 1000, destinationIcount: 1000, caughtUp: true, closeForMs: 1000 },
  ...{ lagLogMs: 0, logSpeed: 1, sourcePerSecond: 0, replayPerSecond: 1e9, latencyMs: 0, pace: 0, rttMs: 1, fixedMs },
};

t.test('a guest is not stopped for a destination that is not heard', async (t) => {
  let looks = 0;
  const awayFor = 5;
  const link = {
    get isWell(): boolean {
      return ++looks > awayFor;
    },
  };
  const metrics = { link, standstillMs: 0, pace: 0, sample: () => sample, judged: () => undefined };
  const handover = await converge({
    tracer: { segment: async () => undefined } as unknown as TracerClient,
    journal: { recordMs: 1, rehearse: async () => undefined } as unknown as SessionJournal,
    metrics: metrics as unknown as SourceMetrics,
    policy: { maxDowntimeMs: 100, timeoutMs: 60_000, onTimeout: 'abort', maxPace: 0.5 },
    goesOn: () => true,
  });
  t.ok(handover, 'when it is heard again, it is');
  t.equal(looks, awayFor + 1);
});
