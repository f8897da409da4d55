// Starts a machine and ends: `node starter.js HOME NAME`. The machine must outlive it.
import { Home, Machine, parseSpec } from '../../src/machine/index.js';

const [home = '', name = ''] = process.argv.slice(2);
const spec = parseSpec(`name: ${name}\nmemory: 16M`, { base: '/', source: 'starter' });
const machine = await Machine.start(spec, { home: new Home(home), tracer: null });
process.stdout.write(String(machine.process.pid));
machine.close();
