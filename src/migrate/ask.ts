// Who has a machine, by the other host's journal: what a person would go and look up. Any `trmig receive` answers.
import { TrmigError } from '../errors.js';
import type { Home } from '../machine/index.js';
import { connect } from '../wire/connect.js';
import type { AnswerFrame } from '../wire/frames.js';
import type { Security } from '../wire/secure.js';
import { identity } from './identity.js';
import { readJournal, type OwnershipRecord } from './journal.js';
import { ownDecision } from './ownership.js';
import { knownMachine, type Decision } from './resolve.js';

export interface AskOptions {
  readonly home: Home;
  /** Where the other host's `trmig receive` listens. */
  readonly host: string;
  readonly port: number;
  readonly security?: Security;
  readonly signal?: AbortSignal;
}

/**
 * What `resolveMachine` is to be told of a machine whose migration is unfinished here. The other host is not asked where this
 * one's journal can tell: what is settled, and what its source has not given away.
 * @throws TrmigError E_MACHINE_UNKNOWN, E_JOURNAL_DAMAGED; E_RESOLVE when the other host cannot tell either; E_CONNECT, E_TLS,
 * E_UNTRUSTED, E_KEY*, E_WIRE_*, E_PEER_GONE, E_ABORTED
 */
export async function askDecision(name: string, options: AskOptions): Promise<Decision> {
  const { records } = await readJournal((await knownMachine(name, options.home)).ownership);
  const own = ownDecision(records);
  if (own !== null) return own;
  const last = records.at(-1)!;
  const holder = await askHolder(last, options);
  if (holder !== 'unknown') return holder === last.role ? 'here' : 'there';
  const peer = `${options.host}:${options.port}`;
  throw new TrmigError(
    'E_RESOLVE',
    `${peer} cannot tell who has '${name}': the migration is unfinished there too, or unknown`,
    {
      hint: `Settle it there first: trmig resolve ${name}`,
      facts: { machine: name, peer, migrationId: last.migrationId },
    },
  );
}

async function askHolder({ migrationId }: OwnershipRecord, options: AskOptions): Promise<AnswerFrame['holder']> {
  const { host, port, security, signal } = options;
  const link = await connect(host, port, { identity, ...(security && { security }), ...(signal && { signal }) });
  try {
    await link.send({ kind: 'query', migrationId });
    const frame = await link.receive();
    if (frame === null) throw new TrmigError('E_PEER_GONE', `${link.name} closed the connection without an answer`);
    if (frame.kind === 'answer' && frame.migrationId === migrationId) return frame.holder;
    throw new TrmigError('E_WIRE_GARBAGE', `${link.name} answered a question with '${frame.kind}'`);
  } finally {
    link.destroy();
  }
}
