// A source that can be held: `node sender-process.js HOME PORT PHASES`.
import { Home, Machine } from '../../src/machine/index.js';
import { migrate } from '../../src/migrate/migrate.js';
import { holdAt, interrupts, say } from './holding.js';

const [home = '', port = '', phases = ''] = process.argv.slice(2);
const cancel = new AbortController();
const onPhase = holdAt(phases, interrupts(cancel));
let machine: Machine | undefined;
try {
  // Its session comes to life in this phase, which no event leads to.
  onPhase('connecting');
  machine = await Machine.open('m', { home: new Home(home) });
  const { phase, error } = await migrate(machine, {
    host: '127.0.0.1',
    port: Number(port),
    verify: false,
    // What is cut here is cut for good: nothing is gained by waiting longer.
    reconnectMs: 1000,
    signal: cancel.signal,
    policy: { maxDowntimeMs: 1000, timeoutMs: 120_000, onTimeout: 'switch', maxPace: 0.9 },
    onPhase: ({ at }) => onPhase(at),
  });
  say({ result: phase.at, code: error?.code ?? null, why: error?.message ?? null });
} catch (error) {
  const { code, message } = error as { code?: string; message?: string };
  say({ result: 'refused', code: code ?? null, why: message ?? null });
} finally {
  machine?.close();
}
