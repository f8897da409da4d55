// A person's decision about a machine whose migration nobody can finish any more. trmig does not know whether the other host
// runs it; the person says so, and this host's journal then says what was decided.
//
// Invariants: QEMU is touched only after the journal record that allows it is on disk. Before the guest is taken back that
// record is `reclaimed`: a source that is still alive unseen then cannot journal `relinquished` any more, and so never
// commits. A settled journal, a damaged one and a refused decision change nothing.
import { TrmigError, asTrmigError } from '../errors.js';
import { Machine, withStartLock, type Home, type MachinePaths, type TracerStatus } from '../machine/index.js';
import { endArrival, receiverOf } from './arrival.js';
import { assertNotDeparting } from './departure.js';
import { takeBack } from './depart.js';
import {
  OwnershipJournal,
  readJournal,
  type DestinationRecordState,
  type OwnershipRecord,
  type SourceRecordState,
} from './journal.js';
import { currentOwner, isSettled } from './ownership.js';
import { isAtWork } from './standing.js';

/** `here`: this host runs the machine from now on. `there`: this host gives up its claim to it. */
export type Decision = 'here' | 'there';

export interface ResolveOptions {
  readonly home: Home;
  readonly decision: Decision;
  readonly signal?: AbortSignal;
}

export interface Resolution {
  readonly machine: string;
  /** Who, by this host's journal, may run the machine now. */
  readonly owner: Decision;
  /** The states that were journaled, in order; empty when everything was settled already. */
  readonly journaled: readonly string[];
  /** Whether the guest runs on this host now; null when it was not asked, because nothing was to do. */
  readonly running: boolean | null;
}

/** What a person can decide about a machine. */
export interface Choices {
  readonly machine: string;
  readonly settled: boolean;
  readonly owner: Decision;
  readonly last: OwnershipRecord | null;
  /** What deciding so would do; null for what would be refused. Empty of meaning when settled. */
  readonly here: string | null;
  readonly there: string | null;
}

/**
 * What could be decided, without touching anything.
 * @throws TrmigError E_MACHINE_UNKNOWN, E_JOURNAL_DAMAGED
 */
export async function choicesFor(name: string, options: { readonly home: Home }): Promise<Choices> {
  const paths = await knownMachine(name, options.home);
  const { records } = await readJournal(paths.ownership);
  const last = records.at(-1) ?? null;
  const settled = isSettled(records);
  const choices = settled || last === null ? { here: null, there: null } : explained(last);
  return { machine: name, settled, owner: currentOwner(records), last, ...choices };
}

function explained({ role, state, peer }: OwnershipRecord): Pick<Choices, Decision> {
  if (role === 'source') {
    if (state !== 'relinquished') {
      const there = `when its QEMU has died: settles that it does not go on here. ${elsewhere(peer)} may go on with its copy`;
      return { here: `settles that it was never given away, and lets the guest go on here`, there };
    }
    return {
      here: `takes the guest back: it goes on here. ${elsewhere(peer)} must not run it, now or later`,
      there: `settles that it is gone from here, and ends this host's QEMU with all that it holds`,
    };
  }
  const here = `lets the guest go on here from the log's last instruction. ${elsewhere(peer)} must not run it, now or later`;
  if (state === 'owner') return { here, there: null };
  return { here, there: `settles that it never ran here, and ends this host's QEMU with all that it holds` };
}

/** Of a machine that moves by a recording the peer is the recording. */
function elsewhere(peer: string): string {
  return peer.startsWith('recording:') ? `Whoever has ${peer.slice('recording:'.length)}` : peer;
}

/**
 * Carries out a decision. On a settled journal it does nothing.
 * @throws TrmigError E_MACHINE_UNKNOWN, E_JOURNAL_*; E_BUSY while a trmig is at work on the machine; E_TOO_LATE and E_RESOLVE
 * for a decision that would leave it with no owner or two; E_MACHINE_DEAD, E_TRACER_*, E_MACHINE_EXISTS
 */
export async function resolveMachine(name: string, options: ResolveOptions): Promise<Resolution> {
  const { home, decision, signal } = options;
  const paths = await knownMachine(name, home);
  const settled = await readJournal(paths.ownership);
  if (isSettled(settled.records)) {
    return { machine: name, owner: currentOwner(settled.records), journaled: [], running: null };
  }
  return withStartLock(paths, async () => {
    const receiver = await receiverOf(home, name);
    if (receiver !== null) {
      throw new TrmigError('E_BUSY', `'${name}' is being received by process ${receiver}`, {
        hint: 'End that `trmig receive` first; it settles what it can.',
        facts: { machine: name, pid: receiver },
      });
    }
    await assertNotDeparting(paths);
    const journal = await OwnershipJournal.open(paths.ownership);
    try {
      const machine = await openIfRunning(name, { home, tracer: decision === 'here', ...(signal && { signal }) });
      try {
        const resolution = await new Settling(name, journal, machine).settle(decision);
        // A dead receiver's note would have the next one take a guest that stands still for an abandoned copy.
        await endArrival(home, name);
        return resolution;
      } finally {
        machine?.close();
      }
    } finally {
      await journal.close();
    }
  });
}

class Settling {
  readonly #journaled: string[] = [];
  readonly #last: OwnershipRecord;

  constructor(
    readonly name: string,
    readonly journal: OwnershipJournal,
    /** null: its QEMU is gone. */
    readonly machine: Machine | null,
  ) {
    const last = journal.records.at(-1);
    if (last === undefined) throw new TrmigError('E_INTERNAL', 'an empty journal has nothing to settle');
    this.#last = last;
  }

  async settle(decision: Decision): Promise<Resolution> {
    const { role } = this.#last;
    if (isSettled(this.journal.records)) return this.#result(null);
    if (decision === 'there') return role === 'source' ? this.#retire() : this.#discard();
    return role === 'source' ? this.#takeBack() : this.#goLive();
  }

  /** The source's guest goes on; a machine whose QEMU is gone is at least this host's again. */
  async #takeBack(): Promise<Resolution> {
    const status = this.machine === null ? null : await this.#idle(this.machine);
    if (status?.mode === 'playing') {
      throw this.#refused(`the QEMU of '${this.name}' replays a log: it is not the machine that was here`);
    }
    if (this.#last.state !== 'reclaimed') await this.#append('reclaimed');
    if (this.machine !== null) await takeBack(this.machine, 'reclaim');
    await this.#append('returned');
    return this.#result(this.machine);
  }

  async #retire(): Promise<Resolution> {
    // Without its QEMU there is nothing here to go on with: the destination's copy may be the last one.
    if (this.#last.state !== 'relinquished' && this.machine !== null) {
      const why = `'${this.name}' was never given away: if it does not go on here, it goes on nowhere`;
      throw this.#refused(why, `Take it back with: trmig resolve ${this.name} --here`);
    }
    await this.#append('retired');
    await this.machine?.stop({ graceful: false });
    return this.#result(null, false);
  }

  async #discard(): Promise<Resolution> {
    if (this.#last.state === 'owner') {
      throw new TrmigError('E_TOO_LATE', `'${this.name}' is this host's already, and may have run here`, {
        hint: `Let it go on here with: trmig resolve ${this.name} --here`,
        facts: this.#facts,
      });
    }
    await this.#append('discarded');
    await this.machine?.stop({ graceful: false });
    return this.#result(null, false);
  }

  /** The destination's guest goes on from the log's end, or runs already. */
  async #goLive(): Promise<Resolution> {
    const { machine } = this;
    const owned = this.#last.state === 'owner';
    if (machine === null) {
      const otherwise = owned ? `trmig rm ${this.name} --force` : `trmig resolve ${this.name} --there`;
      throw new TrmigError('E_MACHINE_DEAD', `'${this.name}' cannot go on here: its QEMU is gone`, {
        hint: `Give it up here with \`${otherwise}\`, and take it back on the other host.`,
        facts: this.#facts,
      });
    }
    const status = await this.#idle(machine);
    const runs = status.mode === 'dormant' && status.running;
    if (!(owned && runs)) {
      // A replaying tracer says `finish` only of the log's very end.
      if (status.mode !== 'playing' || status.running || status.stoppedBy !== 'finish') {
        const why = `'${this.name}' cannot go on here: it does not stand at the last instruction of its log`;
        throw this.#refused(why, owned ? undefined : `Give it up here with: trmig resolve ${this.name} --there`);
      }
      if (!owned) await this.#append('owner');
      await machine.tracer.live();
    }
    await this.#append('live');
    return this.#result(machine);
  }

  /** Its tracer's status. @throws TrmigError E_BUSY while somebody is seen at work on it */
  async #idle(machine: Machine): Promise<TracerStatus> {
    const status = await machine.tracer.status();
    if (!isAtWork(status)) return status;
    throw new TrmigError('E_BUSY', `a trmig is at work on '${this.name}'`, {
      hint: `End it, or wait for its end; then look with: trmig status ${this.name}`,
      facts: this.#facts,
    });
  }

  async #append(state: SourceRecordState | DestinationRecordState): Promise<void> {
    const record = { ...this.#last, state, time: new Date().toISOString() } as OwnershipRecord;
    await this.journal.append(record);
    this.#journaled.push(state);
  }

  async #result(asked: Machine | null, running: boolean | null = null): Promise<Resolution> {
    const { records } = this.journal;
    const runs = asked === null ? running : await asked.tracer.status().then(({ running: now }) => now);
    return { machine: this.name, owner: currentOwner(records), journaled: this.#journaled, running: runs };
  }

  get #facts(): Record<string, string> {
    const { role, state, migrationId } = this.#last;
    return { machine: this.name, role, state, migrationId };
  }

  #refused(why: string, hint?: string): TrmigError {
    return new TrmigError('E_RESOLVE', why, { ...(hint !== undefined && { hint }), facts: this.#facts });
  }
}

/** @throws TrmigError E_MACHINE_UNKNOWN */
export async function knownMachine(name: string, home: Home): Promise<MachinePaths> {
  const paths = home.machine(name);
  if ((await home.machineNames()).includes(name)) return paths;
  throw new TrmigError('E_MACHINE_UNKNOWN', `there is no machine '${name}' here`, { facts: { name } });
}

/** A destination that died early has a journal, and neither a spec nor a QEMU. */
async function openIfRunning(name: string, options: Parameters<typeof Machine.open>[1]): Promise<Machine | null> {
  try {
    return await Machine.open(name, options);
  } catch (thrown) {
    if (['E_MACHINE_DEAD', 'E_MACHINE_UNKNOWN'].includes(asTrmigError(thrown).code)) return null;
    throw thrown;
  }
}
