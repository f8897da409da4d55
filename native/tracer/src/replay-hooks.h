/*
 * Functions of QEMU, done otherwise:
 *
 * - replay_exception: a guest's exceptions are deterministic, so none is logged unless its place among other events of the
 *   same instruction must be told. An aarch64 guest makes thousands a second.
 * - replay_advance_current_icount: while playing, the main loop is not woken for an event that the vCPU itself consumes
 *   (wakeups.h).
 * - replay_checkpoint, replay_async_events: nothing for a vCPU that is paused; so a guest's reset replays.
 * - replay_checkpoint, replay_save_clock: nothing for a look at the host's clocks that finds no timer due (sleeps.h); that was
 *   half of an idle guest's log, and cost a replay two hand-overs at each tick. Nor for the start of a warp that is under way.
 * - replay_save_instructions: as QEMU's, with our own replay mutex (replay-mutex.h).
 * - icount_handle_deadline: no timer of the guest's fires while the machine is stopped.
 * - run_on_cpu: whoever holds the replay mutex does a paused vCPU's errand himself. QEMU waits for the vCPU, which may be waiting
 *   for that very mutex: one reset of a PC in some dozens would hang for ever.
 *
 * Canaries at the segments' ends replace the check that logged exceptions were.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TRMIG_REPLAY_HOOKS_H
#define TRMIG_REPLAY_HOOKS_H

/* While the plugin is being loaded. Returns NULL, or one sentence. */
const char *replay_hooks_install(void);

#endif
