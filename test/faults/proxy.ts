// A link that a test can spoil: bytes cross it until it is cut, stalled, or flips a bit.
import net from 'node:net';

export class Proxy {
  readonly #sockets = new Set<net.Socket>();
  #stalled = false;
  #flips: 'source' | 'destination' | null = null;

  private constructor(readonly server: net.Server) {}

  /** A new way to a port: of this host, and for this host alone, unless said otherwise. */
  static async to(port: number, host = '127.0.0.1', listenAt = '127.0.0.1'): Promise<Proxy> {
    const server = net.createServer();
    const proxy = new Proxy(server);
    server.on('connection', (near) => {
      const far = net.connect(port, host);
      proxy.#pass(near, far, 'destination');
      proxy.#pass(far, near, 'source');
    });
    await new Promise<void>((resolve) => server.listen(0, listenAt, resolve));
    return proxy;
  }

  get port(): number {
    return (this.server.address() as net.AddressInfo).port;
  }

  #pass(from: net.Socket, into: net.Socket, side: 'source' | 'destination'): void {
    this.#sockets.add(from);
    from.on('error', () => undefined);
    from.on('data', (bytes: Buffer) => {
      if (this.#flips === side && bytes.length > 0) {
        this.#flips = null;
        bytes[bytes.length >> 1]! ^= 0x10;
      }
      if (!into.write(bytes)) {
        from.pause();
        into.once('drain', () => this.#stalled || from.resume());
      }
    });
    from.on('end', () => into.end());
    from.on('close', () => {
      this.#sockets.delete(from);
      if (!this.#stalled) into.destroy();
    });
    if (this.#stalled) from.pause();
  }

  /** For good: who dials again finds nobody. */
  cut(): void {
    this.server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Nothing arrives any more, until `release`. */
  stall(): void {
    this.#stalled = true;
    for (const socket of this.#sockets) socket.pause();
  }

  /** What was kept back arrives, wherever there is still somebody. */
  release(): void {
    this.#stalled = false;
    for (const socket of this.#sockets) socket.resume();
  }

  /** In the next bytes that this side is sent. */
  flipTo(side: 'source' | 'destination'): void {
    this.#flips = side;
  }
}
