// Does to a move what was chosen, when its moment has come.
// Invariant: nothing is done to the only QEMU that has the guest but to let it stand still. Before a copy of it is killed or
// written to, whoever could make it the owner stands still, and has not done so.
import { rmSync } from 'node:fs';
import path from 'node:path';
import { readJournal } from '../../src/migrate/journal.js';
import { fill, signalIfThere, scribble } from '../faults/spoil.js';
import type { Child } from '../system/child.js';
import { sleep } from '../system/stage.js';
import type { Disturbance, Moment } from './chance.js';
import type { CommandProcess } from './command-process.js';
import type { Station } from './station.js';

export interface Move {
  readonly from: Station;
  readonly to: Station;
  readonly sender: CommandProcess;
  readonly receiver: CommandProcess;
  readonly proxy: Child;
  readonly begunMs: number;
  /** What a move takes that nothing disturbs. */
  readonly usualMs: number;
}

/** Between two signals of a person who is in a hurry: as one they would be one. */
const againMs = 30;

/** Resolves when the fault is over, as far as it ends by itself: with what was done, or null when the move was over before. */
export async function strike(move: Move, disturbance: Disturbance): Promise<string | null> {
  if (!(await comes(move, disturbance.moment))) return null;
  const atMs = performance.now() - move.begunMs;
  const phases = `source ${move.sender.lastPhase ?? '-'}, destination ${move.receiver.lastPhase ?? '-'}`;
  if (!(await strikeNow(move, disturbance))) return null;
  return `at ${atMs.toFixed(0)} ms (${phases})`;
}

async function comes({ sender, begunMs, usualMs }: Move, moment: Moment): Promise<boolean> {
  const isThere = (): boolean =>
    moment.of === 'move' ? performance.now() >= begunMs + moment.share * usualMs : sender.came('draining');
  while (!isThere() && !sender.isGone) await sleep(2);
  if (moment.of === 'handover') await sleep(moment.afterMs);
  return !sender.isGone;
}

/** false: it came too late, and nothing was done. */
async function strikeNow(move: Move, { fault, side, lastsMs }: Disturbance): Promise<boolean> {
  const { sender, receiver, proxy } = move;
  const station = side === 'source' ? move.from : move.to;
  const victim = side === 'source' ? sender : receiver;
  switch (fault) {
    case 'kill':
      await victim.kill();
      return true;
    case 'suspend':
      await victim.suspend();
      await sleep(lastsMs);
      victim.signal('SIGCONT');
      return true;
    case 'kill-qemu':
      return whileSuspended(receiver, async () => !(await isOwner(move.to)) && signalAll(station, 'SIGKILL'));
    case 'suspend-qemu': {
      const stood = signalAll(station, 'SIGSTOP');
      await sleep(lastsMs);
      signalAll(station, 'SIGCONT');
      return stood;
    }
    case 'cut':
    case 'flip':
      proxy.process.stdin!.write(fault === 'cut' ? 'cut\n' : `flip ${side}\n`);
      return true;
    case 'stall':
      proxy.process.stdin!.write('stall\n');
      await sleep(lastsMs);
      proxy.process.stdin!.write('release\n');
      return true;
    case 'cancel':
      victim.signal('SIGINT');
      return true;
    case 'cancel-twice':
      victim.signal('SIGINT');
      await sleep(againMs);
      victim.signal('SIGINT');
      return true;
    case 'diverge':
      // What is written to before would be restored once more, or be memory that nobody has looked at.
      while (receiver.lastPhase !== 'replaying' && !sender.isGone) await sleep(2);
      return whileSuspended(sender, async () => {
        const pid = station.qemus[0];
        if (pid === undefined || !(await isRecording(move.from))) return false;
        await scribble(station.home, pid).catch(() => undefined); // It may be found out, and ended, before all is written.
        return true;
      });
    case 'disk-full': {
      const file = path.join(station.home.root, 'filler');
      fill(file);
      await sleep(lastsMs);
      rmSync(file, { force: true });
      return true;
    }
  }
}

async function whileSuspended(process: CommandProcess, work: () => Promise<boolean>): Promise<boolean> {
  await process.suspend();
  try {
    return await work();
  } finally {
    process.signal('SIGCONT');
  }
}

/** false when there is none: it may just have ended. */
function signalAll({ qemus }: Station, name: NodeJS.Signals): boolean {
  return qemus.map((pid) => signalIfThere(pid, name)).includes(true);
}

async function lastRecord({ home }: Station): Promise<string> {
  const { records } = await readJournal(home.machine('m').ownership);
  const last = records.at(-1);
  return last === undefined ? '' : `${last.role} ${last.state}`;
}

async function isOwner(station: Station): Promise<boolean> {
  return ['destination owner', 'destination live'].includes(await lastRecord(station));
}

/** The guest has not stopped yet for its handover: whatever its copy computes is still to be compared. */
async function isRecording(station: Station): Promise<boolean> {
  return (await lastRecord(station)) === 'source recording';
}
