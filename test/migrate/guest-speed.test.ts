import t from 'tap';
import { GuestSpeed } from '../../src/migrate/guest-speed.js';

t.test('the speed is that of the last 100 ms', async (t) => {
  const speed = new GuestSpeed();
  speed.reached({ hostMs: 1000, instructions: 0 });
  speed.reached({ hostMs: 1050, instructions: 5e6 });
  t.equal(speed.perSecond, 0, 'not before there is a whole window');
  speed.reached({ hostMs: 1100, instructions: 10e6 });
  t.equal(speed.perSecond, 100e6);
  speed.reached({ hostMs: 1150, instructions: 10e6 });
  t.equal(speed.perSecond, 50e6, 'a stall shows');
  speed.reached({ hostMs: 1200, instructions: 10e6 });
  t.equal(speed.perSecond, 0);
});

t.test('a segment that began before the window counts by its share', async (t) => {
  const speed = new GuestSpeed();
  speed.reached({ hostMs: 0, instructions: 0 });
  speed.reached({ hostMs: 1000, instructions: 1e9 });
  t.equal(speed.perSecond, 1e9);
  speed.reached({ hostMs: 1050, instructions: 1e9 });
  t.equal(speed.perSecond, 0.5e9);
});
