// A way to a port of this host that breaks: each connection after so many bytes, anywhere in a frame or a handshake, or when it is
// told to. Who dials again gets through, unless it is closed.
import net from 'node:net';

export class Brittle {
  /** Connections that were made, and those that were broken. */
  connections = 0;
  cuts = 0;
  readonly #pairs = new Set<() => void>();
  #silent = false;

  private constructor(private readonly server: net.Server) {}

  /** @param bytesLeft how many bytes the next connection lets through, both ways together */
  static async to(port: number, bytesLeft: () => number = () => Infinity): Promise<Brittle> {
    const server = net.createServer({ noDelay: true });
    const brittle = new Brittle(server);
    server.on('connection', (near) =>
      brittle.#pass(near, net.connect({ port, host: '127.0.0.1', noDelay: true }), bytesLeft()),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return brittle;
  }

  get port(): number {
    return (this.server.address() as net.AddressInfo).port;
  }

  #pass(near: net.Socket, far: net.Socket, bytesLeft: number): void {
    this.connections++;
    let left = bytesLeft;
    const cut = (): void => {
      if (!this.#pairs.delete(cut)) return;
      near.destroy();
      far.destroy();
    };
    this.#pairs.add(cut);
    for (const [from, into] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('error', () => undefined);
      from.on('close', cut);
      from.on('end', () => into.end());
      from.on('data', (bytes: Buffer) => {
        if (this.#silent || left <= 0) return;
        const passing = bytes.subarray(0, left);
        left -= passing.length;
        if (left > 0) {
          if (into.write(passing)) return;
          from.pause();
          into.once('drain', () => from.resume());
          return;
        }
        this.cuts++;
        // What it let through arrives.
        into.end(passing, () => setImmediate(cut));
      });
    }
  }

  /** All connections that there are now break. */
  cut(): void {
    for (const cut of [...this.#pairs]) {
      this.cuts++;
      cut();
    }
  }

  /** The connections that there are now carry nothing any more, and do not say so. */
  silence(): void {
    this.#silent = true;
    this.server.once('connection', () => (this.#silent = false));
  }

  /** For good: who dials again finds nobody. */
  close(): void {
    this.server.close();
    this.cut();
  }
}
