// A receiver as a process of its own, for tests that kill it: `node receiver-process.js HOME`. Says on standard output, a
// line of JSON each: its port, the phases that it comes to, how each machine came in. Ends with its standard input.
import { Home } from '../../src/machine/index.js';
import { receive } from '../../src/migrate/receiver.js';

const say = (message: object): boolean => process.stdout.write(`${JSON.stringify(message)}\n`);
const { port } = await receive({
  home: new Home(process.argv[2] ?? ''),
  host: '127.0.0.1',
  port: 0,
  onPhase: (phase) => say({ phase: phase.at }),
  onMachine: ({ phase, error }) => say({ result: phase.at, code: error?.code ?? null }),
  onRefused: (error) => say({ refused: error.code }),
});
say({ port });
process.stdin.on('end', () => process.exit()).resume();
