// Two hosts on one machine: they reach each other over their link alone, at its rate, and leave nothing behind, however the
// process that made them ends.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { makeHosts } from '../../bench/hosts.js';
import { withoutNamespaces as skip } from '../system/namespaces.js';

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

t.test('two hosts talk over a link that is shaped and counted', { skip }, async (t) => {
  const hosts = await makeHosts('100mbit');
  t.teardown(() => hosts.close());
  const echo = `require('net').createServer((c) => c.resume().on('end', () => c.end())).listen(5000, '${hosts.b.address}', () => console.log('listening'))`;
  const server = hosts.b.spawn(process.execPath, ['-e', echo], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(server.stdout!, 'data');
  const megabytes = 4;
  const send = `const c = require('net').connect(5000, '${hosts.b.address}'); c.end(Buffer.alloc(${megabytes}e6)); c.resume().on('close', () => {})`;
  const before = await hosts.linkBytes();
  const beganMs = performance.now();
  await hosts.a.exec(process.execPath, ['-e', send]);
  const tookMs = performance.now() - beganMs;
  const bytes = (await hosts.linkBytes()) - before;
  t.ok(bytes > megabytes * 1e6 && bytes < megabytes * 1.15e6, `${bytes} bytes were counted`);
  t.ok(tookMs > (megabytes * 8000) / 100 - 50, `it took ${tookMs} ms, as 100 Mb/s make it`);
  const processes = await hosts.a.exec('sh', ['-c', 'cat /proc/[0-9]*/comm']);
  t.notMatch(processes, /node/, "a host does not see the other's processes");
});

t.test('closing ends everything that runs on a host', { skip }, async (t) => {
  const hosts = await makeHosts('1gbit');
  const word = `1000${process.pid}`;
  await hosts.a.exec('sh', ['-c', `setsid sleep ${word} >/dev/null 2>&1 &`]);
  const { guardPid } = hosts.a;
  const sleeping = (): boolean => readdirSync('/proc').some((pid) => commandLine(pid) === `sleep\0${word}\0`);
  // The shell ends before its child has become `sleep`.
  for (let tries = 0; tries < 250 && !sleeping(); tries++) await sleep(20);
  t.ok(sleeping());
  await hosts.close();
  t.notOk(sleeping());
  t.notOk(existsSync(`/proc/${guardPid}`));
});

t.test('hosts end with the process that made them, even when it is killed', { skip }, async (t) => {
  const maker = `const { makeHosts } = await import('${new URL('../../bench/hosts.js', import.meta.url).href}');
    const hosts = await makeHosts('1gbit'); console.log(hosts.a.guardPid, hosts.b.guardPid); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', maker], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [said] = (await once(child.stdout, 'data')) as [Buffer];
  const pids = said.toString().trim().split(' ');
  t.ok(pids.every((pid) => existsSync(`/proc/${pid}`)));
  child.kill('SIGKILL');
  await once(child, 'exit');
  for (let tries = 0; tries < 100 && pids.some((pid) => existsSync(`/proc/${pid}`)); tries++) await sleep(20);
  t.ok(pids.every((pid) => !existsSync(`/proc/${pid}`)));
});
