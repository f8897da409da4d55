// A receiver that can be held: `node receiver-process.js HOME PHASES`. Ends with its standard input.
import { Home } from '../../src/machine/index.js';
import { receive } from '../../src/migrate/receiver.js';
import { holdAt, interrupts, say } from './holding.js';

const [home = '', phases = ''] = process.argv.slice(2);
const cancel = new AbortController();
const onPhase = holdAt(phases, interrupts(cancel));
const { port } = await receive({
  home: new Home(home),
  host: '127.0.0.1',
  port: 0,
  signal: cancel.signal,
  // The phase that an offer begins with, which no event leads to.
  memoryToGive: async () => {
    onPhase('offered');
    return 2 ** 40;
  },
  onPhase: ({ at }) => onPhase(at),
  onMachine: ({ phase, error }) => say({ result: phase.at, code: error?.code ?? null, why: error?.message ?? null }),
  onRefused: (error) => say({ refused: error.code, why: error.message }),
});
say({ port });
process.stdin.on('end', () => process.exit()).resume();
