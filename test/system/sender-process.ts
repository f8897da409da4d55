// A source as a process of its own, for tests that kill it: `node sender-process.js HOME NAME PORT MAX_DOWNTIME_MS`. Says on
// standard output, a line of JSON each: the phases that it comes to, and how it ended.
import { Home, Machine } from '../../src/machine/index.js';
import { migrate } from '../../src/migrate/migrate.js';

const [home = '', name = '', port = '', maxDowntimeMs = ''] = process.argv.slice(2);
const say = (message: object): boolean => process.stdout.write(`${JSON.stringify(message)}\n`);
const machine = await Machine.open(name, { home: new Home(home) });
const result = await migrate(machine, {
  host: '127.0.0.1',
  port: Number(port),
  verify: false,
  policy: { maxDowntimeMs: Number(maxDowntimeMs), timeoutMs: 600_000, onTimeout: 'switch', maxPace: 0.5 },
  onPhase: (phase) => say({ phase: phase.at }),
});
say({ result: result.phase.at, code: result.error?.code ?? null, peakKib: peakKib() });
machine.close();

/** The most that this process had resident. */
function peakKib(): number {
  return process.resourceUsage().maxRSS;
}
