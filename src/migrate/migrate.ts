// One command's worth of migration: find the destination, give the machine away, say how it went.

import { randomUUID } from 'node:crypto';
import { assertMovable, type Machine } from '../machine/index.js';
import { connect } from '../wire/connect.js';
import type { Security } from '../wire/secure.js';
import { whileDeparting } from './departure.js';
import { identity } from './identity.js';
import { sendMachine } from './send.js';
import type { SourceOptions, SourceResult } from './source.js';

export interface MigrateOptions extends SourceOptions {
  /** The destination's receiver. */
  readonly host: string;
  readonly port: number;
  /** Off loopback nothing can be moved without. */
  readonly security?: Security;
  /** The most that the link may take of the network, but for control frames; no cap when left out. */
  readonly bytesPerSecondMax?: number | undefined;
  /** How long a connection that is lost is to be made again, ms; 0 or left out: the migration ends with it. */
  readonly reconnectMs?: number | undefined;
  /** Names the migration in journals and reports; made when it is not given. */
  readonly migrationId?: string;
}

/**
 * Moves a running machine to the receiver at `host`:`port`.
 * Once connected it never rejects: the result says how it ended, and the machine runs here unless it ended in `retired`
 * (it runs there) or `unresolved` (`trmig status` says what to do).
 * @throws TrmigError E_PROFILE for a machine that is tied to this host; E_BUSY while another process migrates it; E_CONNECT,
 * E_WIRE_*, E_TLS, E_UNTRUSTED, E_KEY*, E_ABORTED before anything was done to the machine.
 */
export async function migrate(machine: Machine, options: MigrateOptions): Promise<SourceResult> {
  const { host, port, security, bytesPerSecondMax, reconnectMs, signal, migrationId = randomUUID() } = options;
  assertMovable(machine.spec);
  return whileDeparting(machine.paths, async () => {
    const link = await connect(host, port, {
      identity,
      reconnectMs,
      link: { bytesPerSecondMax },
      ...(security && { security }),
      ...(signal && { signal }),
    });
    return sendMachine(machine, link, migrationId, options);
  });
}
