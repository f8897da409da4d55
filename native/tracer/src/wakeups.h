/*
 * Who is woken while the machine is recorded or replayed. QEMU wakes the main loop whenever the vCPU stops at an event, and kicks
 * the vCPU whenever a timer of the guest's is set or due. Both threads take turns at one mutex, so each wake-up that nobody
 * needed costs two switches of context: more than the event itself.
 *
 * Invariant: whoever must consume the log's next event is awake, or is woken.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TRMIG_WAKEUPS_H
#define TRMIG_WAKEUPS_H

#include <stdbool.h>

/* Puts the tracer's versions in the place of QEMU's own. Main thread, before the machine runs. Returns NULL, or why not. */
const char *wakeups_install(void);

/* While playing: whether the log's next event is one that the vCPU's thread consumes by itself. Replay mutex held. */
bool wakeups_vcpu_is_next(void);

/* Wakes a vCPU that sleeps in HLT, for one round of its loop. Main thread, BQL held. */
void wakeups_vcpu(void);

/* Ends the main loop's sleep. Unlike qemu_notify_event, which schedules a bottom half, it leaves the vCPU in its slice. Any thread. */
void wakeups_main_loop(void);

#endif
