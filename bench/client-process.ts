// A client of a guest's echo server as a process on a host: it says `connected`, talks to the guest until its stdin closes,
// and then prints what it saw as one line of JSON.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { z } from 'zod';
import type { Host } from './hosts.js';

export class ClientProcess<Report> {
  private constructor(
    private readonly child: ChildProcess,
    private readonly schema: z.ZodType<Report>,
  ) {}

  /**
   * Starts a client's module on a host.
   * @throws when the guest does not answer it; why not is on stderr by then
   */
  static async connect<Report>(
    host: Host,
    module: string,
    schema: z.ZodType<Report>,
    [address, port]: readonly [string, number],
  ): Promise<ClientProcess<Report>> {
    const child = host.spawn(process.execPath, [fileURLToPath(module), address, String(port)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const ended = once(child, 'close').then(() => Buffer.from('nothing, and ended'));
    const first = await Promise.race([ended, once(child.stdout!, 'data').then(([data]) => data as Buffer)]);
    if (first.toString() !== 'connected\n') throw new Error(`the client of ${address} said ${first.toString()}`);
    return new ClientProcess(child, schema);
  }

  /** Waits for the last answers and hangs up. @throws when what it printed is no report */
  async end(): Promise<Report> {
    let said = '';
    this.child.stdout!.setEncoding('utf8').on('data', (text: string) => (said += text));
    this.child.stdin!.end();
    await once(this.child, 'close');
    return this.schema.parse(JSON.parse(said));
  }
}
