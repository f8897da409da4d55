// What the source's table speaks of: its phases, what can happen in them, and what is to be done. Plain data only.
// Invariant: each phase carries only its own data; an error is carried as code and message, so that phases can be compared.

/** Why something ended; the plain form of a TrmigError. */
export interface Failure {
  readonly code: string;
  readonly message: string;
}

/** Where the guest stands at the log's last instruction. */
export interface FinalState {
  readonly icount: number;
  readonly registers: string;
  readonly devices: string;
}

/**
 * How the guest is given back: what must be undone. Each is right too when the step had not been done, or only a part of
 * it (`reclaim`: stopped but not fenced; `resume`: armed but not stopped), and ends with the guest running here, dormant.
 */
export type Undo = 'disarm' | 'resume' | 'reclaim';

export type SourcePhase =
  | { readonly at: 'connecting' }
  | { readonly at: 'offering' }
  | { readonly at: 'arming' }
  | { readonly at: 'shipping' }
  | { readonly at: 'catching-up' }
  /** `ready`: the destination may reach the log's end before our own tracer has reported it. */
  | { readonly at: 'draining'; readonly ready: FinalState | null }
  | { readonly at: 'awaiting-ready'; readonly final: FinalState }
  /** `lost`: the peer went meanwhile; once fenced, the guest is given back instead of away. */
  | { readonly at: 'fencing'; readonly lost: Failure | null; readonly asked: boolean }
  /** The journal is being written: nothing can stop it, so what happens meanwhile is kept for afterwards. */
  | {
      readonly at: 'relinquishing';
      readonly linked: boolean;
      readonly declined: Failure | null;
      readonly asked: boolean;
    }
  | { readonly at: 'relinquished' }
  | { readonly at: 'reclaiming'; readonly error: Failure }
  /** `asked`: the destination wants to know, and is told once the guest is back. */
  | {
      readonly at: 'returning';
      readonly error: Failure;
      readonly outcome: 'aborted' | 'failed';
      readonly asked: boolean;
    }
  | { readonly at: 'aborted'; readonly error: Failure }
  | { readonly at: 'failed'; readonly error: Failure }
  | { readonly at: 'retired' }
  | { readonly at: 'unresolved'; readonly error: Failure };

export type SourceEvent =
  /** The link is up (also after `redial`). */
  | { readonly type: 'connected' }
  | { readonly type: 'accepted' }
  | { readonly type: 'refused'; readonly error: Failure }
  /** The checkpoint exists and the guest is recorded. */
  | { readonly type: 'armed' }
  | { readonly type: 'baseSent' }
  /** Convergence has decided. */
  | { readonly type: 'handover' }
  /** The guest is stopped and the final segment is out. */
  | { readonly type: 'drained'; readonly final: FinalState }
  | { readonly type: 'ready'; readonly final: FinalState }
  /** The tracer has voided the lease: this QEMU does not run the guest by itself any more. */
  | { readonly type: 'fenced' }
  /** The journal's record is on disk. */
  | { readonly type: 'journaled' }
  /** The journal's record is certainly not on disk. */
  | { readonly type: 'journalRefused'; readonly error: Failure }
  /** Nobody can tell. */
  | { readonly type: 'journalUnknown'; readonly error: Failure }
  | { readonly type: 'live' }
  /** The destination has journaled that it will never run this guest. */
  | { readonly type: 'declined'; readonly error: Failure }
  /** The destination asks what our journal says. */
  | { readonly type: 'asked' }
  | { readonly type: 'peerAborted'; readonly error: Failure }
  | { readonly type: 'peerGone'; readonly error: Failure }
  | { readonly type: 'cancel'; readonly error: Failure }
  /** An effect failed, the log was lost, the lease ran out, the guest shut down: whatever forbids to go on. */
  | { readonly type: 'failed'; readonly error: Failure }
  /** The source's QEMU is dead. */
  | { readonly type: 'machineGone'; readonly error: Failure }
  /** The guest runs here again, dormant. */
  | { readonly type: 'returned' };

export type SourceEffect =
  | { readonly do: 'sendOffer' }
  | { readonly do: 'arm' }
  /** Checkpoint frame, then base and log in parallel; ends in `baseSent`, the log goes on. */
  | { readonly do: 'ship' }
  /** Judge convergence and pace; ends in `handover` or `failed`. */
  | { readonly do: 'converge' }
  | { readonly do: 'finish' }
  | { readonly do: 'fence' }
  /** Where the table waits for it (`relinquished`, `reclaimed`) its end is an event, else the next effect waits. */
  | {
      readonly do: 'journal';
      readonly state: 'recording' | 'draining' | 'relinquished' | 'reclaimed' | 'returned' | 'retired';
    }
  | { readonly do: 'sendCommit' }
  /** Connect to the destination again, until it works; ends in `connected`. */
  | { readonly do: 'redial' }
  | { readonly do: 'sendAnswer'; readonly holder: 'source' | 'destination' }
  /** Best effort: the link may be gone. */
  | { readonly do: 'sendAbort'; readonly error: Failure }
  | { readonly do: 'sendRetired' }
  /** Ends in `returned`, or `machineGone`. */
  | { readonly do: 'giveBack'; readonly undo: Undo }
  /** Kill the stopped QEMU and what belongs to it. */
  | { readonly do: 'retire' }
  | { readonly do: 'close' };
